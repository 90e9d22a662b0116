"""Downloads over the downloads dialect, with a real server and real files: ask, watch, fetch, cancel, delete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.media import File, Gate, Media, add_all, make_manifest, media_server
from tests.serving import Client, command_file, serving
from tests.wait import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILM = bytes(range(256)) * 4_000
SMOOTH = ("downloads.allow_private=true", "downloads.buffer_bytes=16384", "downloads.reports_per_s=100.0")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with serving(tmp_path_factory.mktemp("data"), *SMOOTH) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def media() -> AsyncIterator[Media]:
    async with media_server() as started:
        yield started


async def ask(server: Client, url: str | list[str], **more: Any) -> Any:
    return await server.post("/api/download", {"url": url, "format": "best", **more})


async def said(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return await socket.receive_json(timeout=PATIENCE_S)


async def test_a_download_is_taken_watched_and_fetched(server: Client, media: Media) -> None:
    url = media.add("film.mp4", File(content=FILM))

    taken = await ask(server, url)
    task_id = taken["task_id"]
    await server.ended(task_id)

    assert taken == {"task_id": task_id, "status": "pending", "queue_position": 1, "message": taken["message"]}
    status = await server.get(f"/api/status/{task_id}")
    assert status == {
        "task_id": task_id,
        "status": "completed",
        "progress": 100.0,
        "filename": "film.mp4",
        "file_size": len(FILM),
        "title": "film",
        "thumbnail_url": None,
        "error_message": None,
        "created_at": status["created_at"],
        "completed_at": status["completed_at"],
    }
    async with server.session.get(f"{server.url}/api/download/{task_id}") as response:
        assert await response.read() == FILM
        assert response.headers["Content-Disposition"] == "attachment; filename*=UTF-8''film.mp4"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_part_of_the_file_is_to_be_had(server: Client, media: Media) -> None:
    task_id = (await ask(server, media.add("part.mp4", File(content=FILM))))["task_id"]
    await server.ended(task_id)
    path = f"{server.url}/api/download/{task_id}"

    async with server.session.get(path, headers={"Range": "bytes=100-299"}) as response:
        part, status = await response.read(), response.status
    async with server.session.get(path, headers={"Range": f"bytes={len(FILM)}-"}) as response:
        beyond = response.status
    async with server.session.head(path) as response:
        size = response.headers["Content-Length"]

    assert (status, part) == (206, FILM[100:300])
    assert beyond == 416
    assert int(size) == len(FILM)


async def test_progress_is_told_while_it_runs(server: Client, media: Media) -> None:
    gate = Gate(upto=300_000)
    url = media.add("slow.mp4", File(content=FILM, gate=gate))
    task_id = (await ask(server, url))["task_id"]

    async with server.session.ws_connect(f"{server.url}/api/progress/stream/{task_id}") as socket:
        while (running := await said(socket))["current_bytes"] < 250_000:
            assert running["status"] in ("pending", "downloading")
        status, early = await server.ask("GET", f"/api/download/{task_id}")
        (listed,) = (await server.get("/api/progress/tasks", status="downloading"))["tasks"]
        await gate.open(len(FILM))
        told = [running, *[message.json() async for message in socket]]

    assert (running["url"], running["title"], running["filename"]) == (url, "slow", "slow.mp4")
    assert (running["total_bytes"], running["file_size"], running["completed_at"]) == (len(FILM), None, None)
    assert 0 < running["progress"] < 99
    assert "indeterminate" not in running
    assert (status, early["error"], early["details"]["allowed_states"]) == (409, "INVALID_STATE", ["completed"])
    assert (listed["task_id"], listed["title"]) == (task_id, "slow")
    assert [one["progress"] for one in told] == sorted(one["progress"] for one in told)
    assert (told[-1]["status"], told[-1]["progress"], told[-1]["file_size"]) == ("completed", 100.0, len(FILM))
    assert socket.close_code == 1000


async def test_an_unknown_length_is_told_in_bytes_and_as_unknown(server: Client, media: Media) -> None:
    gate = Gate(upto=300_000)
    task_id = (await ask(server, media.add("endless.mp4", File(content=FILM, length=False, gate=gate))))["task_id"]

    async with server.session.ws_connect(f"{server.url}/api/progress/stream/{task_id}") as socket:
        while (running := await said(socket))["current_bytes"] < 250_000:
            pass
        summary = await server.get(f"/api/progress/tasks/{task_id}/summary")
        await gate.open(len(FILM))
        last = [message.json() async for message in socket][-1]

    assert (running["progress"], running["total_bytes"], running["eta_seconds"]) == (0.0, None, None)
    assert running["indeterminate"] is True
    assert (summary["progress"], summary["time_remaining"], summary["indeterminate"]) == (0.0, None, True)
    assert (last["progress"], last["current_bytes"], last["total_bytes"]) == (100.0, len(FILM), len(FILM))


async def test_the_story_of_a_download_is_kept_and_its_speed_can_be_drawn(server: Client, media: Media) -> None:
    gate = Gate(upto=300_000)
    task_id = (await ask(server, media.add("story.mp4", File(content=FILM, gate=gate))))["task_id"]
    async with server.session.ws_connect(f"{server.url}/api/progress/stream/{task_id}") as socket:
        while (await said(socket))["current_bytes"] < 250_000:
            pass
        await gate.open(len(FILM))
        async for _ in socket:
            pass

    events = await server.get(f"/api/progress/tasks/{task_id}/events")
    course = await server.get(f"/api/progress/tasks/{task_id}/speed", points=20)

    names = [event["event"] for event in events]
    assert names[:2] == ["task_created", "download_started"]
    assert set(names[2:-1]) == {"progress_update"}
    assert names[-1] == "task_completed"
    assert events[0]["details"]["url"].endswith("/story.mp4")
    assert events[-1]["details"] == {"file_path": f"files/{task_id}/story.mp4", "file_size": len(FILM)}
    assert all(
        isinstance(event["details"][name], (int, float))
        for event in events[2:-1]
        for name in ("progress", "speed_bps", "current_bytes")
    )
    assert 2 <= len(course["points"]) <= 20
    assert course["points"][-1]["current_bytes"] == len(FILM)
    assert [point["elapsed_seconds"] for point in course["points"]] == sorted(
        point["elapsed_seconds"] for point in course["points"]
    )
    assert course["peak_speed_bps"] >= course["average_speed_bps"] > 0


async def test_what_is_done_with_the_parts_is_processing(server: Client, media: Media, tmp_path: Path) -> None:
    add_all(media, make_manifest(tmp_path).parent)

    task_id = (await ask(server, f"{media.base}/video.mpd", format="mp4"))["task_id"]
    async with server.session.ws_connect(f"{server.url}/api/progress/stream/{task_id}") as socket:
        told = [message.json() async for message in socket]
    events = await server.get(f"/api/progress/tasks/{task_id}/events")

    statuses = list(dict.fromkeys(one["status"] for one in told))
    assert statuses == ["pending", "downloading", "processing", "completed"][-len(statuses) :]
    assert [one["progress"] for one in told] == sorted(one["progress"] for one in told)
    processing = [one for one in told if one["status"] == "processing"]
    assert all(one["current_bytes"] == one["total_bytes"] > 0 for one in processing)
    names = list(dict.fromkeys(event["event"] for event in events))
    assert names == ["task_created", "download_started", "progress_update", "post_processing", "task_completed"]


async def test_the_bytes_of_a_list_on_a_page_are_all_counted(server: Client, media: Media) -> None:
    sources = [media.add(f"entry-{n}.mp4", File(content=FILM[n:])) for n in range(3)]
    videos = "".join(f"<video src='{source}'></video>" for source in sources)
    page = media.add("list.html", File(content=f"<title>T</title>{videos}".encode(), content_type="text/html"))
    before = (await server.get("/api/progress/bandwidth"))["window_bytes"]

    task_id = (await ask(server, page))["task_id"]
    await server.ended(task_id)

    detail = await server.get(f"/api/progress/tasks/{task_id}")
    after = (await server.get("/api/progress/bandwidth"))["window_bytes"]
    assert (detail["status"], detail["progress"]) == ("completed", 100.0)
    assert after - before == sum(len(FILM) - n for n in range(3))


async def test_a_list_is_taken_whole_or_not_at_all(server: Client, media: Media) -> None:
    urls = [media.add(f"{name}.mp4", File(content=FILM[:1_000])) for name in ("one", "two", "three")]
    before = (await server.get("/api/progress/stats"))["total_tasks"]

    status, refusal = await server.ask("POST", "/api/download", json={"url": [*urls, "ftp://example.com/a"]})
    between = (await server.get("/api/progress/stats"))["total_tasks"]
    taken = await ask(server, urls)

    assert (status, refusal["error"], between) == (400, "INVALID_URL", before)
    ids = [one["task_id"] for one in taken["tasks"]]
    assert taken["task_id"] == ids[0]
    assert [one["queue_position"] for one in taken["tasks"]] == sorted(one["queue_position"] for one in taken["tasks"])
    assert len(set(ids)) == 3
    for task_id, name in zip(ids, ("one", "two", "three"), strict=True):
        await server.ended(task_id)
        assert (await server.get(f"/api/status/{task_id}"))["filename"] == f"{name}.mp4"


async def test_a_request_that_is_repeated_under_its_key_is_done_once(server: Client, media: Media) -> None:
    body = {"url": media.add("once.mp4", File(content=FILM[:1_000])), "format": "best"}
    key = {"Idempotency-Key": "only-once"}

    first = await server.post("/api/download", body, headers=key)
    again = await server.post("/api/download", body, headers=key)
    status, other = await server.ask("POST", "/api/download", json={**body, "format": "mp3"}, headers=key)

    assert again["task_id"] == first["task_id"]
    assert (status, other["error"]) == (409, "IDEMPOTENCY_MISMATCH")


async def test_cancelling_ends_a_download_for_good(server: Client, media: Media) -> None:
    task_id = (await ask(server, media.add("stuck.mp4", File(content=FILM, gate=Gate(upto=100_000)))))["task_id"]
    async with server.session.ws_connect(f"{server.url}/api/progress/stream/{task_id}") as socket:
        while (await said(socket))["current_bytes"] == 0:
            pass

        answer = await server.post(f"/api/cancel/{task_id}")
        told = [message.json() async for message in socket]

    assert answer == {"message": f"Task {task_id} is cancelled", "cancelled": True}
    assert (told[-1]["status"], told[-1]["error_message"]) == ("cancelled", "the task was cancelled")
    assert socket.close_code == 1000
    status, again = await server.ask("POST", f"/api/cancel/{task_id}")
    assert (status, again["error"]) == (409, "INVALID_STATE")
    assert again["details"] == {
        "task_id": task_id,
        "current_state": "cancelled",
        "operation": "cancel",
        "allowed_states": ["pending", "downloading", "processing"],
    }
    events = await server.get(f"/api/progress/tasks/{task_id}/events")
    assert events[-1]["event"] == "task_cancelled"


async def test_a_deleted_download_is_gone_with_its_file(server: Client, media: Media) -> None:
    task_id = (await ask(server, media.add("gone.mp4", File(content=FILM[:1_000]))))["task_id"]
    await server.ended(task_id)

    async with server.session.delete(f"{server.url}/api/task/{task_id}") as response:
        answer = await response.json()

    assert answer == {"message": f"Task {task_id} and its files are deleted"}
    for path in ("/api/status/{}", "/api/download/{}", "/api/progress/tasks/{}", "/api/progress/tasks/{}/events"):
        status, body = await server.ask("GET", path.format(task_id))
        assert (status, body["error"], body["status_code"]) == (404, "NOT_FOUND", 404)


async def test_a_running_download_is_not_deleted(server: Client, media: Media) -> None:
    task_id = (await ask(server, media.add("busy.mp4", File(content=FILM, gate=Gate(upto=100_000)))))["task_id"]
    async with server.session.ws_connect(f"{server.url}/api/progress/stream/{task_id}") as socket:
        while (await said(socket))["started_at"] is None:
            pass

        status, refusal = await server.ask("DELETE", f"/api/task/{task_id}")

        await server.post(f"/api/cancel/{task_id}")
        async for _ in socket:
            pass
    assert (status, refusal["error"], refusal["details"]["operation"]) == (409, "INVALID_STATE", "delete")
    assert refusal["details"]["current_state"] == "downloading"
    assert refusal["details"]["allowed_states"] == ["pending", "completed", "failed", "cancelled"]


async def test_a_site_that_says_no_fails_a_download_with_its_reason(server: Client, media: Media) -> None:
    task_id = (await ask(server, media.add("closed.mp4", File(status=403))))["task_id"]
    await server.ended(task_id)

    detail = await server.get(f"/api/progress/tasks/{task_id}")
    events = await server.get(f"/api/progress/tasks/{task_id}/events")

    assert detail["status"] == "failed"
    assert "403" in detail["error_message"]
    assert (events[-1]["event"], events[-1]["details"]["error_type"]) == ("task_failed", "http_403")


async def test_the_list_shows_the_newest_first_and_only_as_many_as_asked_for(server: Client, media: Media) -> None:
    url = media.add("listed.mp4", File(content=FILM[:1_000]))
    ids = [(await ask(server, url))["task_id"] for _ in range(3)]
    for task_id in ids:
        await server.ended(task_id)

    listed = await server.get("/api/tasks", limit=2)
    completed = await server.get("/api/tasks", status="completed", limit=3)

    assert [one["task_id"] for one in listed] == ids[:0:-1]
    assert [one["task_id"] for one in completed] == ids[::-1]
    assert completed[0] == {
        "task_id": ids[2],
        "url": url,
        "status": "completed",
        "progress": 100.0,
        "title": "listed",
        "format": "best",
        "created_at": completed[0]["created_at"],
    }


async def test_where_there_is_no_picture_that_is_said(server: Client, media: Media) -> None:
    task_id = (await ask(server, media.add("plain.mp4", File(content=FILM[:1_000]))))["task_id"]
    await server.ended(task_id)

    status, refusal = await server.ask("GET", f"/api/thumbnail/{task_id}")

    assert (status, refusal["error"]) == (404, "NOT_FOUND")


async def test_who_is_next_is_first_in_the_queue(tmp_path: Path) -> None:
    url = "https://example.com/film.mp4"
    async with serving(tmp_path, "queues.default.paused=true") as client:
        one = await ask(client, url)
        others = await ask(client, [url, url])

    assert one["queue_position"] == 1
    assert [other["queue_position"] for other in others["tasks"]] == [2, 3]


@pytest.mark.parametrize(("files", "status"), [(1, 200), (2, 404), (0, 404)])
async def test_of_a_task_of_another_kind_the_one_file_it_made_is_to_be_had(
    tmp_path: Path, files: int, status: int
) -> None:
    program = f"for n in range({files}): open('made-' + str(n), 'w').write('x')"
    async with serving(tmp_path / "data", file=command_file(tmp_path, make=program)) as client:
        task_id = await client.submit("command", {"name": "make"})
        await client.ended(task_id)

        async with client.session.get(f"{client.url}/api/download/{task_id}") as response:
            assert response.status == status
            assert status != 200 or await response.read() == b"x"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "VALIDATION_ERROR"),
        ({"url": ""}, "INVALID_URL"),
        ({"url": []}, "INVALID_URL"),
        ({"url": 7}, "INVALID_URL"),
        ({"url": "file:///etc/passwd"}, "INVALID_URL"),
        ({"url": "http://"}, "INVALID_URL"),
        ({"url": "https://example.com/a b"}, "INVALID_URL"),
        ({"url": "https://example.com/", "format": "exe"}, "INVALID_FORMAT"),
        ({"url": "https://example.com/", "quality": "--exec"}, "INVALID_FORMAT"),
        ({"url": "https://example.com/", "format_id": "a b"}, "INVALID_FORMAT"),
        ({"url": "https://example.com/", "embed_thumbnail": "perhaps"}, "VALIDATION_ERROR"),
        ([], "VALIDATION_ERROR"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_what_is_wrong_with_it(server: Client, body: Any, code: str) -> None:
    status, refusal = await server.ask("POST", "/api/download", json=body)

    assert (status, refusal["error"], refusal["status_code"]) == (400, code, 400)
    assert refusal.keys() == {"error", "message", "status_code", "details"}
