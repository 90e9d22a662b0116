"""What is answered ahead of the application is answered as the application would."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.edge.line import Line, asked, line_to
from tests.serving import serving

MANY = 20_000
CHANGING = re.compile(
    rb"X-Request-ID: \w+|Content-Length: \d+|Date: [^\r]+"
    rb"|\"timestamp_ms\":\d+|\"stream_id\":\"[\d-]+\"|\"eta_seconds\":[\d.]+"
)


async def told(line: Line, request: bytes) -> bytes:
    """The whole answer, its lines in order, without what is another each time."""
    await line.send(request)
    head, body = await line.answer()
    if head.startswith(b"HTTP/1.1 100"):
        head, body = await line.answer()
    lines = CHANGING.sub(b"-", head).split(b"\r\n")
    return b"\r\n".join((*sorted(lines), CHANGING.sub(b"-", body)))


UNKNOWN = "/api/v1/tasks/00000000-0000-4000-8000-000000000000/progress"


@pytest.mark.parametrize("flags", [(), ("server.allowed_origins=['https://shop.example']",)], ids=["", "origins"])
@pytest.mark.parametrize(
    "request_of",
    [
        lambda one: one.get(),
        lambda one: one.get(UNKNOWN),
        lambda one: one.get(host="evil.example"),
        lambda one: one.get("", "Origin: https://evil.example"),
        lambda one: one.get("", "Origin: https://shop.example"),
        lambda one: one.get("", "X-Request-ID: a b"),
        lambda one: one.get("", "Connection: close"),
        lambda one: one.get("", "Authorization: Bearer nobody"),
        lambda one: one.post('{"percent": 20}'),
        lambda one: one.post("20%", of="text/plain"),
        lambda one: one.post('{"percent": 20}', "Expect: 100-continue"),
        lambda one: one.post('{"percent": 20}', path=UNKNOWN),
        lambda one: one.post('{"percent": "a lot"}'),
        lambda one: one.post("[" * 10_000),
        lambda one: one.post("", of="text/plain"),
        lambda one: one.post("{}", of="application/xml"),
        lambda one: one.post('{"status": "failed", "error": "it rained"}'),
        lambda one: one.post('{"message": "' + "x" * 70_000 + '"}'),
    ],
)
async def test_both_ways_say_the_same(tmp_path, request_of, flags):
    answers = []
    for way in ("true", "false"):
        async with asked(tmp_path / way, f"server.shortcuts={way}", *flags) as one, line_to(one.server.url) as line:
            task_id = one.path.split("/")[4].encode()
            answers.append((await told(line, request_of(one))).replace(task_id, b"ID"))

    assert answers[0] == answers[1]


async def test_a_summary_says_the_same_both_ways(tmp_path):
    async with asked(tmp_path) as one, line_to(one.server.url) as line:
        summary = f"/api/progress/tasks/{one.path.split('/')[4]}/summary"

        answers = {await told(line, one.get(path)) for path in (summary, f"{summary}?")}

    assert len(answers) == 1


async def test_what_comes_in_one_packet_is_answered_in_its_order(tmp_path):
    async with asked(tmp_path) as one, line_to(one.server.url) as line:
        done = one.post("done", of="text/plain")

        await line.send(one.post('{"percent": 30}') + one.get() + one.get("/live") + one.get() + done + one.get())

        assert await line.percents(6) == [b"30", b"30", b"", b"30", b"100", b"100"]


async def test_what_comes_in_pieces_is_answered_when_it_is_whole(tmp_path):
    async with asked(tmp_path) as one, line_to(one.server.url) as line:
        request = one.post('{"percent": 30}')

        for piece in (request[:30], request[30:-3], request[-3:] + one.get()):
            await line.send(piece)

        assert await line.percents(2) == [b"30", b"30"]


async def test_a_wrong_token_counts_once(tmp_path):
    hidden = "tokens.one.sha256=" + "0" * 64
    async with serving(tmp_path, hidden, "limits.auth_failures_per_min=2") as server:
        guesses = [await server.ask("GET", UNKNOWN, headers={"Authorization": "Bearer x"}) for _ in range(3)]

    assert [status for status, _ in guesses] == [401, 401, 429]


async def test_who_asks_without_reading_is_not_read_any_more(tmp_path):
    """Answers pile up as far as the kernel takes them; all come when they are read."""
    async with asked(tmp_path) as one, line_to(one.server.url) as mute, line_to(one.server.url) as other:
        asking = asyncio.create_task(mute.send(one.get() * MANY))

        assert b'"percentage":10' in await told(other, one.get())

        assert set(await mute.percents(MANY)) == {b"10"}
        await asking
