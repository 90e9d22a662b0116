"""The generations dialect: asking for a video, and getting what came of it."""

from __future__ import annotations

import asyncio
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from progresshub.jobs import video
from progresshub.model import State, Task
from progresshub.settings import Generations, Video
from tests.dialects.studio import ASYNC, FILM, ID, RESULT, TOPIC, Studio, need_tools, said, studio
from tests.serving import client as speaking
from tests.serving import process
from tests.wait import until

ASKED = {"topic": TOPIC}


async def beginning(here: Studio, posting: asyncio.Task[Any]) -> str:
    """The task that a request makes, started."""
    while not (found := await here.hub.store.named(ID, 1)) or found[0].state is not State.PENDING:
        assert not posting.done(), posting.result()
        await asyncio.sleep(0)
    here.hub.start(found[0].id)
    return found[0].id


async def test_an_answer_waits_for_the_video(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        posting = asyncio.create_task(here.client.ask("POST", "/api/generate", json=ASKED))
        task_id = await beginning(here, posting)
        here.report(task_id, 50, "generating_audio")
        here.complete(task_id)
        status, body = await posting

    name = f"{ID}-{task_id.replace('-', '')[:12]}.mp4"
    assert status == 200
    assert body == {
        "status": "success",
        "message": "Video generated successfully",
        "generation_id": ID,
        "content_data": RESULT["content_data"],
        "script_data": RESULT["script_data"],
        "video_path": f"/api/video/{name}",
        "video_filename": name,
    }


@pytest.mark.parametrize("prefer", ["respond-async", "wait=10, Respond-Async; foo=1"])
async def test_one_who_prefers_not_to_wait_is_told_where_to_look(tmp_path: Path, prefer: str) -> None:
    async with studio(tmp_path) as here:
        topic = "a/b: what? 100%"
        async with here.client.session.post(
            f"{here.client.url}/api/generate", json={"topic": topic}, headers={"Prefer": prefer}
        ) as response:
            answer = response.status, await response.json(), response.headers["Preference-Applied"]
        status = await here.client.get("/api/status/a_b_what_100%25")
        seen = await here.client.get(answer[1]["status_url"])

    assert answer == (
        202,
        {
            "generation_id": "a_b_what_100%",
            "status_url": "/api/status/a_b_what_100%25",
            "progress_url": "/api/progress/a_b_what_100%25",
        },
        "respond-async",
    )
    assert (status["status"], status["progress"], status["message"]) == ("started", 0, "🚀 Starting generation...")
    assert seen == status


async def test_one_who_leaves_finds_the_video_later(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        posting = asyncio.create_task(here.client.ask("POST", "/api/generate", json=ASKED))
        task_id = await beginning(here, posting)
        posting.cancel()
        await until(lambda: len(here.hub.bus) == 0)
        here.complete(task_id)
        await here.hub.kept()

        body = await here.client.get(f"/api/status/{ID}")

    assert (body["status"], body["progress"], body["message"]) == ("completed", 100, "✅ Video generation complete!")


async def test_a_video_that_can_not_be_made_is_an_error_with_its_reason(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        posting = asyncio.create_task(here.client.ask("POST", "/api/generate", json=ASKED))
        here.fail(await beginning(here, posting), "the model answered nonsense")
        failed = await posting
        posting = asyncio.create_task(here.client.ask("POST", "/api/generate", json=ASKED))
        task_id = await beginning(here, posting)
        await here.client.post(f"/api/v1/tasks/{task_id}/cancel")
        here.fail(task_id, "stopped")
        cancelled = await posting

    assert failed == (500, {"detail": "Video generation failed: the model answered nonsense."})
    assert cancelled == (500, {"detail": "Video generation failed: the generation was cancelled."})


async def test_a_server_that_stops_says_that_it_goes_on_later(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        posting = asyncio.create_task(here.client.ask("POST", "/api/generate", json=ASKED))
        await beginning(here, posting)
        here.hub.bus.close()
        status, body = await posting

    assert status == 503
    assert "goes on when it is back" in body["detail"]


async def test_a_repeated_request_is_one_generation(tmp_path: Path) -> None:
    headers = {**ASYNC, "Idempotency-Key": "once"}
    async with studio(tmp_path) as here:
        first = await here.client.post("/api/generate", ASKED, 202, headers=headers)
        again = await here.client.post("/api/generate", ASKED, 202, headers=headers)
        other = await here.client.ask("POST", "/api/generate", json={"topic": "x"}, headers=headers)
        tasks = await here.client.get("/api/v1/tasks")

    assert first == again
    assert other[0] == 409
    assert len(tasks["tasks"]) == 1


async def test_pictures_come_with_a_form_and_lie_with_the_task(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        form = aiohttp.FormData({"topic": TOPIC, "content": "# Tea\n\n![pot](pot.png)", "num_slides": "1"})
        form.add_field("images", b"a pot", filename="pot.png", content_type="image/png")
        status, _ = await here.client.ask("POST", "/api/generate", data=form, headers=ASYNC)
        (task,) = await here.hub.store.named(ID, 1)
        lies = (here.hub.files.directory(task.id) / "pot.png").read_bytes()

    assert status == 202
    assert task.spec.payload["images"] == ["pot.png"]
    assert (task.spec.payload["num_slides"], task.spec.payload["theme"]) == (1, None)
    assert lies == b"a pot"


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ({"json": {}}, 422, "topic"),
        ({"json": {"topic": ""}}, 422, "topic"),
        ({"json": {"topic": 5}}, 422, "topic"),
        ({"json": {"topic": "x", "num_slides": "many"}}, 422, "num_slides"),
        ({"json": {"topic": "x", "num_slides": 0}}, 422, "num_slides"),
        ({"json": {"topic": "x", "speed": 2}}, 422, "speed"),
        ({"json": {"topic": "x"}}, 422, "content: give the slides as Markdown"),
        ({"json": {"topic": "x", "content": "# a", "language": "klingon"}}, 422, "klingon"),
        ({"json": {"topic": "x", "content": "# a", "images": ["../a.png"]}}, 422, "../a.png"),
        ({"json": ["topic"]}, 422, "object"),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 422, "JSON"),
        ({"data": b"topic=x", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 415, "not taken"),
        ({"data": BytesIO(bytes(17_000_000)), "headers": {"Content-Type": "application/json"}}, 413, "larger than"),
        ({}, 422, "no body"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_detail(
    tmp_path: Path, given: dict[str, Any], status: int, says: str
) -> None:
    async with studio(tmp_path, kinds={"video": video.kind(Video())}) as here:
        got, body = await here.client.ask("POST", "/api/generate", **given)

    assert (got, list(body)) == (status, ["detail"])
    assert says in body["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/generate", 405),
        ("PUT", f"/api/progress/{ID}", 405),
        ("GET", "/api/video/no.mp4", 404),
        ("GET", f"/api/video/{ID}-0123456789ab.mp4", 404),
        ("GET", "/api/video/..%2Fprogresshub.db", 404),
        ("GET", "/api/content/nobody", 404),
        ("GET", "/api/script/nobody", 404),
        ("GET", "/api/content", 404),
        ("GET", "/api/generate/more", 404),
    ],
)
async def test_every_refusal_has_a_detail_and_nothing_else(tmp_path: Path, method: str, path: str, status: int) -> None:
    async with studio(tmp_path) as here:
        got, body = await here.client.ask(method, path)

    assert (got, list(body)) == (status, ["detail"])


async def test_what_is_missing_on_the_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    async with studio(tmp_path, kinds={"video": video.kind(Video())}) as here:
        async with here.client.session.post(
            f"{here.client.url}/api/generate", json={"topic": "x", "content": "# x"}
        ) as response:
            answer = response.status, await response.json()
            again = response.headers["Retry-After"]
        tasks = await here.client.get("/api/v1/tasks")

    assert answer[0] == 503
    assert all(name in answer[1]["detail"] for name in ("progresshub[video]", "ffmpeg", "espeak-ng"))
    assert again == "2"
    assert tasks["tasks"] == []


async def made(here: Studio) -> tuple[Task, str]:
    """A run that has made its video, and the video's path."""
    task_id = await here.begun()
    here.complete(task_id)
    await here.hub.kept()
    task = await here.hub.get(task_id)
    return task, f"{here.client.url}/api/video/{ID}-{task_id.replace('-', '')[:12]}.mp4"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        (None, 200, FILM),
        ("bytes=0-0", 206, FILM[:1]),
        ("bytes=10-19", 206, FILM[10:20]),
        ("bytes=1000-", 206, FILM[1000:]),
        ("bytes=-24", 206, FILM[-24:]),
        ("bytes=-99999", 206, FILM),
        ("bytes=0-99999", 206, FILM),
    ],
)
async def test_a_video_comes_whole_or_in_parts(tmp_path: Path, asked: str | None, status: int, part: bytes) -> None:
    headers = {} if asked is None else {"Range": asked}
    async with studio(tmp_path) as here:
        _, url = await made(here)
        async with here.client.session.get(url, headers=headers) as response:
            got = response.status, await response.read(), response.content_type
        async with here.client.session.head(url, headers=headers) as response:
            head = response.status, response.headers["Content-Length"], await response.read()
            about = response.headers["Accept-Ranges"], response.headers["X-Content-Type-Options"]

    assert got == (status, part, "video/mp4")
    assert head == (status, str(len(part)), b"")
    assert about == ("bytes", "nosniff")


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=99999-100000", "bytes=5-2", "bytes=abc", "lines=1-2", "5"])
async def test_a_range_that_is_not_there_is_refused(tmp_path: Path, asked: str) -> None:
    async with studio(tmp_path) as here:
        _, url = await made(here)
        async with here.client.session.get(url, headers={"Range": asked}) as response:
            got = response.status, response.headers["Content-Range"], list(await response.json())

    assert got == (416, "bytes */1024", ["detail"])


async def test_what_a_video_shows_and_says_is_told(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        await made(here)

        content = await here.client.get(f"/api/content/{ID}")
        script = await here.client.get(f"/api/script/{ID}i")

    assert content == RESULT["content_data"]
    assert script == RESULT["script_data"]


async def test_a_run_that_fails_takes_nothing_from_the_one_before(tmp_path: Path) -> None:
    async with studio(tmp_path, Generations(rerun_wait_s=0.0)) as here:
        _, url = await made(here)
        second = await here.begun()
        during = await here.client.get(f"/api/status/{ID}")
        here.fail(second, "no luck")
        after = await here.client.get(f"/api/status/{ID}")
        content = await here.client.get(f"/api/content/{ID}")
        async with here.client.session.get(url) as response:
            video_status = response.status

    assert (during["status"], after["status"], after["message"]) == ("started", "error", "❌ Error: no luck")
    assert content == RESULT["content_data"]
    assert video_status == 200


async def test_one_that_made_nothing_yet_says_how_it_stands(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        task_id = await here.begun()
        here.report(task_id, 20, "generating_scripts")

        status, body = await here.client.ask("GET", f"/api/content/{ID}")

    assert (status, body) == (
        404,
        {"detail": f"Generation {ID} has made no video; its status is generating_scripts."},
    )


async def test_a_deleted_run_gives_the_name_back_to_the_one_before(tmp_path: Path) -> None:
    async with studio(tmp_path) as here:
        first, _ = await made(here)
        second, _ = await made(here)
        await here.hub.delete(second.id)
        left = await here.client.get(f"/api/content/{ID}")
        await here.hub.delete(first.id)
        status, body = await here.client.ask("GET", f"/api/status/{ID}")

    assert left == RESULT["content_data"]
    assert (status, body["error"], body["detail"]) == (404, "NOT_FOUND", f"There is no task {ID}.")


async def test_names_outlive_the_server(tmp_path: Path) -> None:
    need_tools()
    later = {"type": "video", "payload": {"topic": TOPIC, "content": "# Tea"}, "process_at": "2999-01-01T00:00:00Z"}
    async with process(tmp_path / "data") as server, speaking(server.url) as client:
        await client.post("/api/v1/tasks", later, 201)
        server.kill()
        await server.gone()

    async with process(tmp_path / "data") as server, speaking(server.url) as client:
        stands = [await client.get(f"/api/status/{name}") for name in (ID, f"{ID}i")]
        async with client.stream(f"/api/progress/{ID}") as stream:
            heard = [await said(stream), await said(stream)]

    assert [body["status"] for body in stands] == ["waiting", "waiting"]
    assert [one and one[0] for one in heard] == ["connected", "waiting"]


def test_runs_of_one_generation_take_turns() -> None:
    lane_of = video.kind(Video()).lane_of
    assert lane_of is not None

    first, again, other = (
        lane_of({"topic": topic}) for topic in (TOPIC, "Introduction to Machine Learners", "Introduction to Tea")
    )

    assert first == again != other
    assert first is not None
    assert first.slots == 1
