"""Uploads: on disk as they come, bounded in every way, and gone unless a task has taken them over."""

from __future__ import annotations

import asyncio
import os
import re
import resource
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.faults.raw import raw
from tests.serving import Client, client, process, serving
from tests.wait import PATIENCE_S, until

TASKS = "/api/v1/tasks"
EXTERNAL = '{"type": "external", "payload": {}}'
HEAD = (
    "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=sea\r\n"
    "Content-Length: {size}\r\n\r\n"
)
PIECE = b"x" * 65_536
WHOLE_TASK = b'--sea\r\nContent-Disposition: form-data; name="task"\r\n\r\n' + EXTERNAL.encode()


def form(task: str | None = EXTERNAL, **files: bytes) -> aiohttp.FormData:
    """A task with files whose parts are named like they are, `_` standing for `.`."""
    made = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    if task is not None:
        made.add_field("task", task)
    for name, content in files.items():
        made.add_field(name, BytesIO(content), filename=name.replace("_", "."))
    return made


def begun(size: int, content: bytes = b"half") -> bytes:
    """A request with a form of that size, of which this much has been sent."""
    head = HEAD.format(path=TASKS, size=size).encode()
    return head + b'--sea\r\nContent-Disposition: form-data; name="a"; filename="a.mp3"\r\n\r\n' + content


def left(data: Path) -> list[Path]:
    """What lies about, besides the files of tasks."""
    return [Path(folder, name) for folder, _, names in os.walk(data / "staged") for name in (".", *names)][1:]


def receiving(data: Path) -> bool:
    return any(path.is_file() for path in left(data))


async def send(speaker: Client, data: aiohttp.FormData, **headers: str) -> tuple[int, dict[str, str]]:
    status, body = await speaker.ask("POST", TASKS, data=data, headers=headers)
    return status, body


async def test_files_lie_in_the_directory_of_the_task_they_came_with(tmp_path):
    async with serving(tmp_path) as speaker:
        status, created = await send(speaker, form(a_mp3=PIECE * 9, b_txt=b"words"))

        files = await speaker.get(f"{TASKS}/{created['task_id']}/files")
        async with speaker.session.get(speaker.url + files["files"][0]["url"]) as response:
            content = await response.read()

    assert status == 201
    assert [(file["name"], file["size"]) for file in files["files"]] == [("a.mp3", len(PIECE) * 9), ("b.txt", 5)]
    assert content == PIECE * 9
    assert left(tmp_path) == []


async def test_a_task_finds_its_files_when_it_begins(tmp_path):
    (tmp_path / "counting.py").write_text(
        "from progresshub import Context, task\n\n\n@task\ndef count(ctx: Context, file: str) -> int:\n"
        "    return (ctx.directory / file).stat().st_size\n"
    )
    asked = orjson.dumps({"type": "count", "payload": {"file": "a.mp3"}}).decode()
    flags = ('python.modules=["counting"]', f'python.path=["{tmp_path}"]')
    async with serving(tmp_path / "data", *flags) as speaker:
        _, created = await send(speaker, form(asked, a_mp3=b"12345"))

        task = await speaker.ended(created["task_id"])

    assert (task["state"], task["result"]) == ("completed", 5)


async def test_a_form_without_files_is_a_task_like_any_other(tmp_path):
    async with serving(tmp_path) as speaker:
        status, created = await send(speaker, form())
        files = await speaker.get(f"{TASKS}/{created['task_id']}/files")

    assert status == 201
    assert files["files"] == []
    assert not (tmp_path / "files" / created["task_id"]).exists()


@pytest.mark.parametrize(
    ("task", "code"),
    [
        (None, "INVALID_REQUEST"),
        ("{", "INVALID_REQUEST"),
        ('{"type": "nothing", "payload": {}}', "INVALID_TASK_TYPE"),
        ('{"type": "demo", "payload": {"count": "many"}}', "INVALID_PAYLOAD"),
        ('{"type": "demo", "payload": {}, "timeout": "7"}', "INVALID_TIMEOUT"),
    ],
)
async def test_a_task_that_is_refused_leaves_nothing(tmp_path, task, code):
    async with serving(tmp_path) as speaker:
        status, body = await send(speaker, form(task, a_mp3=PIECE))

        assert (status, body["code"]) == (400, code)
        assert left(tmp_path) == []
        assert not list((tmp_path / "files").glob("*"))


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "announced"])
async def test_what_is_too_large_is_refused_at_once(tmp_path, chunked):
    async def endless() -> AsyncIterator[bytes]:
        for number in range(10_000):
            yield PIECE
            sent.append(number)

    sent: list[int] = []
    async with serving(tmp_path, "uploads.most_bytes=100000") as speaker:
        made = aiohttp.FormData()
        made.add_field("a", endless() if chunked else BytesIO(PIECE * 100), filename="a.mp3")

        status, body = await send(speaker, made)

        assert (status, body["code"]) == (413, "PAYLOAD_TOO_LARGE")
        assert left(tmp_path) == []
    assert len(sent) < 1_000


async def test_what_is_announced_as_too_large_is_refused_before_it_comes(tmp_path):
    async with serving(tmp_path, "uploads.most_bytes=100000") as speaker, raw(speaker.url) as asking:
        await asking.send(begun(10_000_000, b""))

        answer = await asking.answer()

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_what_follows_the_form_is_counted_too(tmp_path):
    async def endless() -> AsyncIterator[bytes]:
        yield b"--sea--\r\n"
        for _ in range(1_000):
            yield PIECE

    headers = {"Content-Type": "multipart/form-data; boundary=sea"}
    async with serving(tmp_path, "uploads.most_bytes=100000") as speaker:
        status, _ = await speaker.ask("POST", TASKS, data=endless(), headers=headers)

    assert status == 413


async def test_files_are_counted_together(tmp_path):
    async with serving(tmp_path, "uploads.most_bytes=100000") as speaker:
        assert (await send(speaker, form(a_mp3=PIECE)))[0] == 201
        assert (await send(speaker, form(a_mp3=PIECE, b_mp3=PIECE)))[0] == 413


async def test_fields_and_parts_are_bounded(tmp_path):
    async with serving(tmp_path) as speaker:
        words = aiohttp.FormData({f"f{number}": "x" * 60_000 for number in range(20)}, default_to_multipart=True)
        large = await send(speaker, words)
        many = aiohttp.FormData({f"f{number}": "x" for number in range(300)}, default_to_multipart=True)
        parts = await send(speaker, many)

    assert (large[0], parts[0]) == (413, 413)


async def test_files_beyond_the_allowed_number_are_refused(tmp_path):
    async with serving(tmp_path, "uploads.most_files=1") as speaker:
        status, body = await send(speaker, form(a_mp3=b"1", b_mp3=b"2"))

    assert (status, body["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "name",
    ["../a.mp3", "/etc/passwd", "music/a.mp3", "C:\\a.mp3", "..", ".hidden", "a\0b", "a\r\nb", "x" * 201, "a\x1b[2J"],
)
async def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    named = name.replace("\r", "%0D").replace("\n", "%0A").encode()
    body = b'--sea\r\nContent-Disposition: form-data; name="a"; filename="' + named + b'"\r\n\r\nx\r\n--sea--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=sea"}
    async with serving(tmp_path) as speaker:
        status, answer = await speaker.ask("POST", TASKS, data=body, headers=headers)

    assert (status, answer["code"]) == (400, "INVALID_REQUEST")
    assert left(tmp_path) == []


async def test_an_empty_file_two_of_a_name_and_one_without_are_refused(tmp_path):
    twice, nameless = form(), form()
    for _ in range(2):
        twice.add_field("a", b"x", filename="a.mp3")
    nameless.add_field("a", b"x", filename="")
    async with serving(tmp_path) as speaker:
        answers = [await send(speaker, made) for made in (form(a_mp3=b""), twice, nameless)]

    assert [status for status, _ in answers] == [400, 400, 400]
    assert ["empty" in answers[0][1]["error"], "two files" in answers[1][1]["error"]] == [True, True]


async def test_a_file_that_nobody_chose_is_none(tmp_path):
    made = form()
    made.add_field("a", b"", filename="")
    async with serving(tmp_path) as speaker:
        status, _ = await send(speaker, made)

    assert status == 201


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        WHOLE_TASK + b"\r\n--sea\r\n",
        b"--sea--",
        b'--sea\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx',
    ],
)
async def test_a_form_that_is_not_whole_is_refused(tmp_path, body):
    headers = {"Content-Type": "multipart/form-data; boundary=sea"}
    async with serving(tmp_path) as speaker:
        status, answer = await speaker.ask("POST", TASKS, data=body, headers=headers)

        assert (status, answer["code"]) == (400, "INVALID_REQUEST")
        assert left(tmp_path) == []


async def test_a_client_that_leaves_leaves_nothing(tmp_path):
    async with serving(tmp_path) as speaker:
        async with raw(speaker.url) as leaving:
            await leaving.send(begun(10_000_000, PIECE * 8))
            await until(lambda: receiving(tmp_path))

        await until(lambda: left(tmp_path) == [])


async def test_a_broken_transfer_is_no_mistake_of_the_server(tmp_path, caplog):
    head = HEAD.format(path=TASKS, size=0).replace("Content-Length: 0", "Transfer-Encoding: chunked").encode()
    async with serving(tmp_path) as speaker, raw(speaker.url) as broken:
        await broken.send(head + b"5\r\n--sea\r\nnot a chunk\r\n")
        answer = await broken.answer()

        await until(lambda: left(tmp_path) == [])

    assert answer.split()[1] == b"400"
    assert not [record for record in caplog.records if record.exc_info]


async def test_who_drips_is_let_go_and_who_is_slow_is_not(tmp_path):
    content = b"x" * 60_000 + b'\r\n--sea\r\nContent-Disposition: form-data; name="task"\r\n\r\n'
    whole = begun(0, content + EXTERNAL.encode() + b"\r\n--sea--\r\n").partition(b"\r\n\r\n")[2]
    request = HEAD.format(path=TASKS, size=len(whole)).encode() + whole
    flags = ("server.request_timeout_s=0.3", "uploads.slowest_bps=1000")
    async with serving(tmp_path, *flags) as speaker, raw(speaker.url) as slow, raw(speaker.url) as idle:
        await slow.send(request[:-10])
        await idle.send(begun(10_000, b""))

        given_up = await idle.answer()
        await slow.send(request[-10:])
        taken = await slow.answer()

    assert given_up.startswith(b"HTTP/1.1 408 ")
    assert taken.startswith(b"HTTP/1.1 201 ")


async def test_more_uploads_than_allowed_are_told_to_wait(tmp_path):
    async with serving(tmp_path, "uploads.at_once=1") as speaker:
        async with raw(speaker.url) as first:
            await first.send(begun(10_000_000, PIECE * 8))
            await until(lambda: receiving(tmp_path))

            async with speaker.session.post(speaker.url + TASKS, data=form(a_mp3=b"x")) as response:
                status, again = response.status, response.headers.get("Retry-After")

        assert (status, again) == (429, "2")
        await until(lambda: left(tmp_path) == [])
        assert (await send(speaker, form(a_mp3=b"x")))[0] == 201


async def test_a_form_with_a_key_is_taken_once(tmp_path):
    key = {"Idempotency-Key": "one"}
    async with serving(tmp_path) as speaker:
        first = await send(speaker, form(a_mp3=PIECE * 9), **key)
        again = await send(speaker, form(a_mp3=PIECE * 9), **key)
        other = await send(speaker, form(a_mp3=PIECE * 8 + b"y" * 65_536), **key)

        assert left(tmp_path) == []
    assert first == again
    assert (other[0], other[1]["code"]) == (409, "IDEMPOTENCY_MISMATCH")


async def test_a_full_disk_is_told(tmp_path):
    async with process(tmp_path / "data") as server, client(server.url) as speaker:
        await speaker.submit("external")
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (3_000_000, hard))

        status, body = await send(speaker, form(a_mp3=PIECE * 80))

        assert (status, body["code"]) == (507, "STORAGE_FULL")
        assert left(tmp_path / "data") == []
        assert (await send(speaker, form(a_mp3=PIECE)))[0] == 201


async def test_what_the_disk_can_not_hold_is_refused_before_it_comes(tmp_path):
    async with serving(tmp_path, "store.min_free_bytes=100000000000000") as speaker, raw(speaker.url) as asking:
        await asking.send(begun(1_000_000, b""))

        answer = await asking.answer()

    assert answer.startswith(b"HTTP/1.1 507 ")


async def test_a_large_upload_takes_little_memory(tmp_path):
    async def large() -> AsyncIterator[bytes]:
        for _ in range(2_000):
            yield PIECE

    async with process(tmp_path / "data") as server, client(server.url) as speaker:
        assert (await send(speaker, form(a_mp3=PIECE)))[0] == 201
        before = peak_bytes(server.process.pid)
        made = form()
        made.add_field("a", large(), filename="a.wav")

        status, _ = await send(speaker, made)

        assert status == 201
        assert peak_bytes(server.process.pid) - before < 20_000_000


def peak_bytes(pid: int) -> int:
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


async def test_what_a_killed_server_had_received_is_swept_away(tmp_path):
    data = tmp_path / "data"
    async with process(data) as server, client(server.url) as speaker, raw(server.url) as half:
        kept = await send(speaker, form(a_mp3=b"kept"))
        await half.send(begun(10_000_000, PIECE * 8))
        await until(lambda: receiving(data))
        server.kill()
        await server.gone()
    assert receiving(data)
    stray, known = "0f8fad5b-d9cb-469f-a165-70867728950e", kept[1]["task_id"]
    for task_id in (stray, known):
        (data / "staged" / "1" / task_id).mkdir(parents=True)
        (data / "files" / task_id).mkdir(exist_ok=True)

    async with process(data):
        assert left(data) == []
        assert not (data / "files" / stray).exists()
        assert (data / "files" / known / "a.mp3").read_bytes() == b"kept"


async def test_many_at_once_are_all_taken_whole(tmp_path):
    async with serving(tmp_path) as speaker:
        async with asyncio.timeout(PATIENCE_S):
            answers = await asyncio.gather(*(send(speaker, form(a_mp3=bytes([n]) * 600_000)) for n in range(16)))

        contents = [(tmp_path / "files" / body["task_id"] / "a.mp3").read_bytes() for _, body in answers]

    assert contents == [bytes([n]) * 600_000 for n in range(16)]
    assert left(tmp_path) == []
