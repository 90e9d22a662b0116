"""The generations dialect's stream: connected, waiting, every change, the end, done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from aiohttp.test_utils import make_mocked_request

from progresshub.dialects.generations.audience import Pulse
from progresshub.dialects.generations.watching import Watcher
from progresshub.errors import StorageFull
from progresshub.protocol import Report, StepPlan
from progresshub.settings import Generations, Streams
from tests.dialects.studio import ID, TOPIC, all_said, said, studio
from tests.parts import Disk, HandClock
from tests.serving import Stream
from tests.wait import until

CONNECTED = ("connected", 0, "📡 Connected to progress stream")
WAITING = ("waiting", 0, "⏳ Waiting for generation to start...")
STARTED = ("started", 0, "🚀 Starting generation...")
COMPLETED = ("completed", 100, "✅ Video generation complete!")
DONE = ("done", 100, "✅ Stream ended")
STREAM = f"/api/progress/{ID}"


async def test_a_stream_has_the_headers_and_the_lines_that_its_clients_know(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        here.complete(await here.begun())
        async with here.client.session.get(here.client.url + STREAM) as response:
            first = [await response.content.readuntil(b"\n\n") for _ in range(2)]
            headers = response.headers

    assert headers["Content-Type"] == "text/event-stream"
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["Connection"] == "keep-alive"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["Content-Encoding"] == "none"
    assert first[0].startswith(
        'data: {"status":"connected","progress":0,"message":"📡 Connected to progress stream","timestamp":"'.encode()
    )
    assert first[1].startswith(b'data: {"status":"waiting","progress":0,')
    assert all(message.count(b"\n") == 2 for message in first)


async def test_a_stream_that_is_open_before_tells_everything(tmp_path: Path) -> None:
    async with studio(tmp_path) as here, here.client.stream(STREAM) as stream:
        before = [await said(stream), await said(stream)]
        task_id = await here.begun()
        assert await said(stream) == STARTED
        here.report(task_id, 10, "generating_content", "📝 Generating presentation content...")
        here.report(task_id, 30, "generating_audio", "🎤 Generating audio for slide 1/2...")
        here.report(task_id, 39.9, "generating_audio", "✅ Generated audio for slide 1/2 (12.3s)")
        here.report(task_id, 100, "composing_video", "🎞️ Composing final video with audio...")
        here.complete(task_id)
        after = await all_said(stream)

    assert before == [CONNECTED, WAITING]
    assert after == [
        ("generating_content", 10, "📝 Generating presentation content..."),
        ("generating_audio", 30, "🎤 Generating audio for slide 1/2..."),
        ("generating_audio", 39, "✅ Generated audio for slide 1/2 (12.3s)"),
        ("composing_video", 99, "🎞️ Composing final video with audio..."),
        COMPLETED,
        DONE,
    ]


async def test_one_that_is_opened_during_begins_with_how_it_stands(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        task_id = await here.begun()
        here.report(task_id, 33, "generating_audio", "half")
        async with here.client.stream(STREAM) as stream:
            heard = [await said(stream), await said(stream)]
            here.complete(task_id)
            rest = await all_said(stream)

    assert heard == [CONNECTED, ("generating_audio", 33, "half")]
    assert rest == [COMPLETED, DONE]


async def test_one_that_is_opened_after_waits_a_while_and_then_tells_the_end(tmp_path: Path) -> None:
    async with studio(tmp_path, Generations(heartbeat_s=60, rerun_wait_s=0.05)) as here:
        here.complete(await here.begun())
        async with here.client.stream(STREAM) as stream:
            heard = await all_said(stream)

    assert heard == [CONNECTED, WAITING, COMPLETED, DONE]


async def test_a_run_that_begins_meanwhile_is_followed_instead(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        here.fail(await here.begun(), "no luck")
        async with here.client.stream(STREAM) as stream:
            heard = [await said(stream), await said(stream)]
            here.complete(await here.begun())
            rest = await all_said(stream)

    assert heard == [CONNECTED, WAITING]
    assert rest == [STARTED, COMPLETED, DONE]


@pytest.mark.parametrize("topic", ["What's new in C++/Rust? A tour of things", "مرحبا! " * 8, "😀" * 40, "tasks: 100%"])
async def test_every_name_of_a_generation_leads_to_its_stream(tmp_path: Path, topic: str) -> None:
    async with studio(tmp_path, Generations(rerun_wait_s=0.05)) as here:
        task_id = await here.begun(topic)
        here.complete(task_id)
        names = [*(await here.hub.get(task_id)).spec.names, task_id]
        heard = []
        for name in names:
            async with here.client.stream(f"/api/progress/{quote(name, safe='')}") as stream:
                heard.append((await all_said(stream))[-2:])

    assert heard == [[COMPLETED, DONE]] * len(names)


async def test_a_name_that_another_path_has_too_is_found_by_those_who_want_a_stream(tmp_path: Path) -> None:
    async with studio(tmp_path, Generations(rerun_wait_s=0.05)) as here:
        before = await here.client.get("/api/progress/tasks")
        here.complete(await here.begun("tasks"))
        after = await here.client.get("/api/progress/tasks")
        async with here.client.stream("/api/progress/tasks", headers={"Accept": "text/event-stream"}) as stream:
            heard = await all_said(stream)
        async with here.client.session.get(
            f"{here.client.url}/api/progress/stats", headers={"Accept": "text/event-stream"}
        ) as stats:
            other = stats.content_type

    assert (before["total_tasks"], after["total_tasks"]) == (0, 1)
    assert heard[-2:] == [COMPLETED, DONE]
    assert other == "application/json"


async def test_how_it_stands_is_told_again_and_again(tmp_path: Path) -> None:
    async with studio(tmp_path, Generations(heartbeat_s=0.1)) as here, here.client.stream(STREAM) as stream:
        before = [await said(stream) for _ in range(4)]
        task_id = await here.begun()
        assert await said(stream) == STARTED
        here.report(task_id, 20, "generating_scripts", "writing")
        during = [one for one in [await said(stream) for _ in range(4)] if one != STARTED]
        here.complete(task_id)
        after = await all_said(stream)

    assert before == [CONNECTED, WAITING, WAITING, WAITING]
    assert len(during) >= 2
    assert set(during) == {("generating_scripts", 20, "writing")}
    assert [one for one in after if one[0] != "generating_scripts"] == [COMPLETED, DONE]


async def test_what_is_reported_twice_is_told_once(tmp_path: Path) -> None:
    async with studio(tmp_path) as here, here.client.stream(STREAM) as one, here.client.stream(STREAM) as other:
        task_id = await here.begun()
        for stream in (one, other):
            assert [await said(stream) for _ in range(3)] == [CONNECTED, WAITING, STARTED]
        for tenths in range(850, 870):
            here.report(task_id, tenths / 10, "composing_video", "composing")
            await asyncio.sleep(0)
        here.complete(task_id)
        heard = await all_said(one), await all_said(other)

    assert heard == ([("composing_video", 85, "composing"), ("composing_video", 86, "composing"), COMPLETED, DONE],) * 2


async def test_a_step_is_told_of_in_its_own_words(tmp_path: Path) -> None:
    async with studio(tmp_path) as here, here.client.stream(STREAM) as stream:
        task_id = await here.begun()
        assert [await said(stream) for _ in range(3)] == [CONNECTED, WAITING, STARTED]
        here.hub.progressed(
            task_id, Report(steps=(StepPlan(name="audio", weight=20), StepPlan(name="rest", weight=80)))
        )
        here.hub.progressed(task_id, Report(step="audio"))
        here.hub.progressed(task_id, Report(step="audio", percent=50, message="✅ Generated audio"))
        here.hub.progressed(task_id, Report(step="audio", status="done"))
        here.complete(task_id)
        heard = await all_said(stream)

    assert heard == [("generating_audio", 10, "✅ Generated audio"), COMPLETED, DONE]


async def test_between_two_steps_the_last_word_of_the_first_one_holds(tmp_path: Path) -> None:
    async with studio(tmp_path, Generations(heartbeat_s=0.1)) as here, here.client.stream(STREAM) as stream:
        task_id = await here.begun()
        here.hub.progressed(task_id, Report(step="audio", percent=50, stage="combining_audio", message="merging"))
        here.hub.progressed(task_id, Report(step="audio", status="done"))
        while (last := await said(stream)) != ("combining_audio", 50, "merging"):
            assert last is not None
        again = [await said(stream) for _ in range(2)]

    assert again == [last, last]


async def test_a_failure_says_why(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        task_id = await here.begun()
        here.report(task_id, 33, "generating_audio", "half")
        async with here.client.stream(STREAM) as stream:
            heard = [await said(stream), await said(stream)]
            here.fail(task_id, "no voice speaks this")
            rest = await all_said(stream)

    assert heard[-1] == ("generating_audio", 33, "half")
    assert rest == [("error", 0, "❌ Error: no voice speaks this"), DONE]


async def test_one_that_is_cancelled_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        task_id = await here.asked()
        async with here.client.stream(STREAM) as stream:
            assert [await said(stream), await said(stream)] == [CONNECTED, STARTED]
            await here.client.post(f"/api/v1/tasks/{task_id}/cancel")
            rest = await all_said(stream)

    assert rest == [("error", 0, "❌ Error: the generation was cancelled"), DONE]


async def test_one_that_is_deleted_ends_its_stream(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        task_id = await here.asked()
        async with here.client.stream(STREAM) as stream:
            assert [await said(stream), await said(stream)] == [CONNECTED, STARTED]
            await here.hub.delete(task_id)
            rest = await all_said(stream)

    assert rest == [("error", 0, "❌ Error: the generation was deleted"), DONE]


async def test_waiting_has_an_end(tmp_path: Path) -> None:
    async with studio(tmp_path, Generations(heartbeat_s=60, wait_s=0.1)) as here, here.client.stream(STREAM) as stream:
        heard = await all_said(stream)

    assert heard == [CONNECTED, WAITING, ("error", 0, "❌ Error: no generation of this name has started"), DONE]


async def after_waiting(stream: Stream) -> tuple[str, int, str] | None:
    """The first message that is none of the heartbeats of one that waits."""
    while (one := await said(stream)) == WAITING:
        continue
    return one


async def test_a_run_that_could_not_be_kept_was_never_there(tmp_path: Path) -> None:
    disk = Disk()
    async with studio(tmp_path, store=disk) as here, here.client.stream(STREAM) as stream:
        assert [await said(stream), await said(stream)] == [CONNECTED, WAITING]
        disk.refusal = StorageFull()
        status, body = await here.client.ask("POST", "/api/generate", json={"topic": TOPIC})
        disk.refusal = None
        await until(lambda: here.hub.journal.trouble is None)
        here.complete(await here.begun())
        rest = await all_said(stream)

    assert (status, body) == (507, {"detail": "There is no space left to keep this; free some space and try again."})
    assert rest == [STARTED, COMPLETED, DONE]


async def test_a_run_is_told_of_as_soon_as_it_is_kept(tmp_path: Path) -> None:
    disk = Disk()
    settings = Generations(heartbeat_s=0.1)
    async with studio(tmp_path, settings, store=disk) as here, here.client.stream(STREAM) as early:
        assert [await said(early), await said(early)] == [CONNECTED, WAITING]
        disk.open_gate.clear()
        asking = asyncio.create_task(here.asked())
        await until(lambda: here.hub.last_seq)
        async with here.client.stream(STREAM) as late:
            assert [await said(late), await said(late)] == [CONNECTED, WAITING]
            meanwhile = [await said(stream) for stream in (early, late, early, late)]
            disk.open_gate.set()
            await asking
            first = [await after_waiting(stream) for stream in (early, late)]

    assert set(meanwhile) == {WAITING}
    assert first == [STARTED, STARTED]


@pytest.mark.parametrize("begun", [False, True])
async def test_the_servers_end_ends_a_stream_in_good_order(tmp_path: Path, begun: bool) -> None:
    async with studio(tmp_path) as here:
        if begun:
            await here.begun()
        async with here.client.stream(STREAM) as stream:
            heard = [await said(stream), await said(stream)]
            here.hub.bus.close()
            rest = await all_said(stream)

    assert heard == [CONNECTED, STARTED if begun else WAITING]
    assert rest == []


async def test_a_task_for_later_is_waiting_until_its_time(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        body = {"type": "video", "payload": {"topic": TOPIC}, "process_at": "2999-01-01T00:00:00Z"}
        created = await here.client.post("/api/v1/tasks", body, 201)
        async with here.client.stream(STREAM) as stream:
            heard = [await said(stream), await said(stream)]
            here.hub.due(created["task_id"])
            heard.append(await said(stream))

    assert heard == [CONNECTED, WAITING, STARTED]


async def test_who_asks_for_the_headers_gets_nothing_else(tmp_path: Path) -> None:
    async with studio(tmp_path) as here, here.client.session.head(here.client.url + STREAM) as response:
        got = response.status, response.headers["Content-Type"], await response.read()

    assert got == (200, "text/event-stream", b"")


async def test_a_client_of_the_old_protocol_is_served(tmp_path: Path) -> None:
    async with studio(tmp_path, Generations(rerun_wait_s=0.05, heartbeat_s=0.1)) as here:
        here.complete(await here.begun())
        address = here.client.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*address.split(":"))
        writer.write(f"GET {STREAM} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            answer = (await reader.read()).partition(b"\r\n\r\n")[2].decode()
        writer.close()

    assert [line.split('"')[3] for line in answer.split("\n\n") if line][-2:] == ["completed", "done"]
    assert all(line.startswith("data: {") for line in answer.split("\n\n") if line)


async def test_those_who_leave_leave_nothing_behind(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        await here.begun()
        async with here.client.stream(STREAM) as one, here.client.stream("/api/progress/nobody") as other:
            assert [await said(one), await said(other)] == [CONNECTED, CONNECTED]
            await until(lambda: len(here.hub.bus) == 2)
        await until(lambda: len(here.hub.bus) == 0)

        assert here.audience._bells == {}
        assert here.audience.pulse._due_s == {}
        assert here.audience._tellings == {}


class Pipe(asyncio.Transport):
    """A connection that keeps what is not read."""

    def __init__(self) -> None:
        super().__init__()
        self.unread: list[bytes] = []

    def write(self, data: Any) -> None:
        self.unread.append(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.unread))


async def test_heartbeats_do_not_pile_up_before_one_who_does_not_listen() -> None:
    pipe = Pipe()
    watcher = Watcher(make_mocked_request("GET", STREAM), Streams(), HandClock())
    watcher.connect(pipe)

    for _ in range(5):
        watcher.beat()
    piled = len(pipe.unread)
    pipe.unread.clear()
    watcher.beat()
    told = len(pipe.unread)
    pipe.unread.clear()
    watcher.finish()
    watcher.beat()

    assert (piled, told, pipe.unread) == (1, 1, [])


async def test_everybody_feels_the_pulse_in_turn() -> None:
    pulse = Pulse(0.1)
    felt: list[str] = []
    enough = asyncio.Event()

    class Hearer(NamedTuple):
        name: str

        def beat(self) -> None:
            felt.append(self.name)
            if len(felt) == 6:
                enough.set()

    with pulse.felt_by(Hearer("a")), pulse.felt_by(Hearer("b")):
        async with asyncio.timeout(10):
            await enough.wait()
        with pulse.felt_by(Hearer("c")):
            pass

    assert felt == ["a", "b"] * 3
