"""Progress of many tasks over the downloads dialect, its figures checked against a small model of what was done."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from progresshub.dialects.downloads.progress import TRAFFIC, WindowQuery, bandwidth
from progresshub.edge.routes import Call
from progresshub.model import EventType, Progress, State
from progresshub.protocol import Report
from progresshub.registry.hub import Hub
from progresshub.registry.submission import Submission
from progresshub.registry.traffic import Traffic
from progresshub.settings import Config
from tests import make
from tests.parts import HandClock, a_hub
from tests.serving import Client, serving
from tests.wait import PATIENCE_S

FUTURE = "2999-01-01T00:00:00Z"
PATHS = (
    "/api/progress/tasks",
    "/api/progress/tasks/x",
    "/api/progress/tasks/x/summary",
    "/api/progress/tasks/x/events",
    "/api/progress/tasks/x/speed",
    "/api/progress/stats",
    "/api/progress/bandwidth",
    "/api/progress/stream/x",
)
STATUSES = ("pending", "downloading", "processing", "completed", "failed", "cancelled")


class Known(NamedTuple):
    """What the model knows of a task."""

    task_id: str
    status: str
    progress: float


async def moved(client: Client, current: int, *, total: int = 1_000_000, **more: Any) -> str:
    """A task of which somebody reports bytes."""
    task_id = await client.submit("external")
    await client.report(task_id, current=current, total=total, unit="bytes", **more)
    return task_id


async def made(client: Client, status: str, percent: float) -> Known:
    """A task brought to that status after it came that far."""
    if status == "pending":
        return Known(await client.submit("demo", {"message": "later"}, process_at=FUTURE), status, 0.0)
    task_id = await client.submit("external")
    await client.report(task_id, percent=percent, stage="processing" if status == "processing" else "fetching")
    if status == "completed":
        await client.report(task_id, status="done")
        return Known(task_id, status, 100.0)
    if status == "failed":
        await client.report(task_id, status="failed", error="no luck")
    if status == "cancelled":
        await client.post(f"/api/cancel/{task_id}")
    return Known(task_id, status, percent)


def average(values: Iterable[float]) -> float:
    found = list(values)
    return round(sum(found) / len(found) + 1e-9, 1) if found else 0.0


def check_stats(stats: Any, known: list[Known]) -> None:
    assert stats["total_tasks"] == len(known)
    assert stats["overall_progress"] == pytest.approx(average(one.progress for one in known), abs=0.1)
    for status in STATUSES:
        those = [one.progress for one in known if one.status == status]
        figure = stats["by_status"][status]
        assert (figure["count"], figure["max_progress"]) == (len(those), max(those, default=0.0))
        assert figure["avg_progress"] == pytest.approx(average(those), abs=0.1)


@pytest.mark.parametrize("seed", [1, 2])
async def test_lists_and_figures_are_those_of_what_was_done(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with serving(tmp_path) as client:
        known = [await made(client, chance.choice(STATUSES), chance.randrange(999) / 10) for _ in range(40)]

        check_stats(await client.get("/api/progress/stats"), known)
        for status in (None, *STATUSES):
            listed = await client.get("/api/progress/tasks", limit=5, **({"status": status} if status else {}))
            those = [one for one in reversed(known) if status in (None, one.status)]
            assert [Known(one["task_id"], one["status"], one["progress"]) for one in listed["tasks"]] == those[:5]
            assert listed["total_tasks"] == len(those)
            assert listed["overall_progress"] == pytest.approx(average(one.progress for one in those), abs=0.1)
            counts = {word: sum(one.status == word for one in those) for word in STATUSES}
            assert {word: listed[word] for word in STATUSES} == counts

        (gone,) = [one for one in known if one.status == "failed"][:1]
        async with client.session.delete(f"{client.url}/api/task/{gone.task_id}") as response:
            assert response.status == 200
        check_stats(await client.get("/api/progress/stats"), [one for one in known if one != gone])

    async with serving(tmp_path) as client:
        check_stats(await client.get("/api/progress/stats"), [one for one in known if one != gone])


async def test_bandwidth_is_what_is_moved_now_and_what_was_in_the_window(client: Client) -> None:
    await moved(client, 300_000, speed_bps=2_000_000.0)
    ended = await moved(client, 500_000, speed_bps=9e9)
    await client.report(ended, current=700_000, total=1_000_000, unit="bytes", status="done")
    await moved(client, 50, speed_bps=3_000_000.0, stage="processing")
    await client.report(await client.submit("external"), current=9, total=10, unit="pages", speed_bps=8e8)
    slower = await moved(client, 100_000, speed_bps=500_000.0)
    await client.report(slower, current=150_000)

    body = await client.get("/api/progress/bandwidth", minutes=10)

    total = body["total_speed_bps"]
    assert body["downloading_count"] == 2
    assert body["average_speed_bps"] == pytest.approx(total / 2, abs=0.1)
    assert body["total_speed_formatted"] == f"{total / 1e6:.2f} MB/s"
    assert (body["window_minutes"], body["window_bytes"]) == (10, 300_000 + 700_000 + 50 + 150_000)
    assert body["window_average_bps"] == round(1_150_050 / 600, 1)


async def test_without_downloads_there_is_no_bandwidth(client: Client) -> None:
    body = await client.get("/api/progress/bandwidth")

    assert (body["downloading_count"], body["total_speed_bps"], body["average_speed_bps"]) == (0, 0.0, 0.0)
    assert (body["total_speed_formatted"], body["window_minutes"], body["window_bytes"]) == ("0 B/s", 5, 0)


async def test_what_was_moved_before_a_restart_is_remembered(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        task_id = await moved(client, 400_000)

    async with serving(tmp_path) as client:
        async with asyncio.timeout(PATIENCE_S):
            while (await client.get("/api/progress/bandwidth"))["window_bytes"] == 0:
                pass
        await client.report(task_id, current=600_000)
        body = await client.get("/api/progress/bandwidth")

    assert body["window_bytes"] == 600_000


async def test_of_many_events_the_changes_of_state_and_the_newest_progress_are_shown(client: Client) -> None:
    task_id = await client.submit("external")
    for n in range(150):
        await client.report(task_id, current=n, total=150, unit="bytes", message=f"number {n}")
    await client.report(task_id, status="done")

    everything = await client.get(f"/api/progress/tasks/{task_id}/events", limit=500)
    few = await client.get(f"/api/progress/tasks/{task_id}/events", limit=5)

    assert [event["event"] for event in few] == [
        "task_created",
        "download_started",
        "progress_update",
        "progress_update",
        "task_completed",
    ]
    assert [event["details"].get("current_bytes") for event in few[2:4]] == [148, 149]
    assert len(everything) == 100
    assert everything[2:-1] == sorted(everything[2:-1], key=lambda event: event["details"]["current_bytes"])
    assert everything[-2]["details"]["current_bytes"] == 149


async def test_a_failed_attempt_that_is_tried_again_is_an_event(tmp_path: Path) -> None:
    async with serving(tmp_path, "downloads.allow_private=true") as client:
        task_id = await client.submit("download", {"url": "http://127.0.0.1:9/nobody.mp4"}, max_retries=1)
        await client.ended(task_id)

        events = await client.get(f"/api/progress/tasks/{task_id}/events")

    names = [event["event"] for event in events if event["event"] != "progress_update"]
    assert names == ["task_created", "download_started", "task_retrying", "download_started", "task_failed"]
    assert [event["details"].get("attempt") for event in events if event["event"] == "download_started"] == [1, 2]


async def test_a_course_of_a_task_that_said_nothing_is_empty(client: Client) -> None:
    task_id = await client.submit("external")

    course = await client.get(f"/api/progress/tasks/{task_id}/speed")

    assert course == {
        "task_id": task_id,
        "status": "downloading",
        "peak_speed_bps": 0.0,
        "average_speed_bps": 0.0,
        "points": [],
    }


async def test_a_task_of_any_kind_and_origin_is_shown(client: Client) -> None:
    task_id = await client.submit("external", {"title": "Pack the boxes"})
    await client.report(task_id, percent=42.75, message="taping")

    detail = await client.get(f"/api/progress/tasks/{task_id}")

    assert (detail["title"], detail["url"], detail["status"]) == ("Pack the boxes", "", "downloading")
    assert (detail["progress"], detail["message"]) == (42.7, "taping")
    assert (await client.get(f"/api/status/{task_id}"))["progress"] == 42


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/progress/tasks", {"limit": "0"}),
        ("/api/progress/tasks", {"limit": "501"}),
        ("/api/progress/tasks", {"limit": "many"}),
        ("/api/progress/tasks", {"status": "nowhere"}),
        ("/api/tasks", {"limit": "201"}),
        ("/api/tasks", {"status": "active"}),
        ("/api/progress/bandwidth", {"minutes": "0"}),
        ("/api/progress/bandwidth", {"minutes": "61"}),
        ("/api/progress/tasks/x/events", {"limit": "0"}),
        ("/api/progress/tasks/x/speed", {"points": "1"}),
        ("/api/info", {}),
        ("/api/subtitles", {"url": "http://example.com/", "lang": "../etc"}),
    ],
)
async def test_what_is_out_of_range_is_refused(client: Client, path: str, query: dict[str, str]) -> None:
    status, body = await client.ask("GET", path, params=query)

    assert (status, body["error"], body["status_code"]) == (400, "VALIDATION_ERROR", 400)


@pytest.mark.parametrize("unknown", ["x", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "%7Bid%7D", "a b"])
@pytest.mark.parametrize("what", ["", "/summary", "/events", "/speed"])
async def test_there_is_nothing_of_an_unknown_task(client: Client, unknown: str, what: str) -> None:
    status, body = await client.ask("GET", f"/api/progress/tasks/{unknown}{what}")

    assert (status, body["error"], body["status_code"]) == (404, "NOT_FOUND", 404)


@pytest.mark.parametrize("path", ["/api/tasks/x/y", "/api/progress/stats/x", "/api/queue", "/api/download"])
async def test_an_unknown_path_below_its_own_is_refused_in_its_words(client: Client, path: str) -> None:
    status, body = await client.ask("GET", path)

    assert (status, body["error"]) in ((404, "NOT_FOUND"), (405, "METHOD_NOT_ALLOWED"))
    assert body.keys() == {"error", "message", "status_code", "details"}


async def test_an_empty_status_is_none(client: Client) -> None:
    await made(client, "downloading", 10)

    assert (await client.get("/api/progress/tasks", status=""))["downloading"] == 1
    assert len(await client.get("/api/tasks", status="")) == 1


async def test_what_needs_ffmpeg_is_there_with_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    features = await client.get("/api/features")

    assert (features["mp3_metadata"], features["thumbnail_embed"], features["download"]) == (False, False, True)


async def test_switched_off_its_progress_is_refused_and_the_rest_is_there(tmp_path: Path) -> None:
    async with serving(tmp_path, "features.progress_tracking=false") as client:
        refusals = [await client.ask("GET", path) for path in PATHS]
        features = await client.get("/api/features")

        assert {(status, body["error"], body["status_code"]) for status, body in refusals} == {
            (403, "FEATURE_DISABLED", 403)
        }
        assert (features["progress_tracking"], features["download"]) == (False, True)
        assert await client.get("/api/tasks") == []


async def test_who_has_no_token_or_too_little_of_one_is_told_so(tmp_path: Path) -> None:
    digest = sha256(b"reader").hexdigest()
    async with serving(tmp_path, f'tokens.phone.sha256="{digest}"', 'tokens.phone.scopes=["read"]') as client:
        bearer = {"Authorization": "Bearer reader"}
        nobody = [await client.ask("GET", path) for path in (*PATHS, "/api/tasks", "/api/features")]
        reader = await client.ask("GET", "/api/progress/stats", headers=bearer)
        writer = await client.ask("POST", "/api/download", json={"url": "http://example.com/"}, headers=bearer)

    assert {(status, body["error"], body["status_code"]) for status, body in nobody} == {(401, "UNAUTHORIZED", 401)}
    assert reader[0] == 200
    assert (writer[0], writer[1]["error"]) == (403, "FORBIDDEN")


async def test_it_says_how_busy_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path, "scheduler.slots=3") as client:
        await made(client, "downloading", 10)
        await made(client, "pending", 0)

        body = await client.get("/api/queue/stats")

    assert body == {
        "active_downloads": 1,
        "pending_tasks": 1,
        "max_concurrent": 3,
        "available_slots": 2,
        "timestamp": body["timestamp"],
    }


async def told_of_bandwidth(hub: Hub, traffic: Traffic, minutes: int) -> Any:
    """What the handler answers, at the hub's time."""
    app = web.Application()
    app[TRAFFIC] = traffic
    request = make_mocked_request("GET", "/", app=app)
    call: Call[WindowQuery, None] = Call(hub, Config(), request, WindowQuery(minutes), None, frozenset(), {})
    answer: Any = (await bandwidth(call)).body
    return orjson.loads(answer)


async def test_only_the_asked_window_counts(tmp_path: Path) -> None:
    clock, traffic = HandClock(10_000_000), Traffic()
    for ago_ms, size in ((200_000, 100), (10_000, 7)):
        moved = make.task(state=State.RUNNING, attempt=1, progress=Progress(current=size, unit="bytes"))
        traffic.hear(make.event(moved, EventType.PROGRESSED, clock.ms - ago_ms))

    async with a_hub(tmp_path, clock=clock) as hub:
        assert (await told_of_bandwidth(hub, traffic, 1))["window_bytes"] == 7
        assert (await told_of_bandwidth(hub, traffic, 5))["window_bytes"] == 107


async def test_what_has_been_silent_for_a_while_moves_nothing(tmp_path: Path) -> None:
    clock = HandClock()
    async with a_hub(tmp_path, clock=clock) as hub:
        (accepted,) = await hub.submit([Submission(kind="outside", payload={}, origin="queues")])
        hub.start(accepted.task_id)
        await hub.journal.settled(accepted.task_id)
        hub.progressed(accepted.task_id, Report(current=5, unit="bytes", speed_bps=1_000.0))

        fresh = await told_of_bandwidth(hub, Traffic(), 5)
        clock.ms += 10_001
        silent = await told_of_bandwidth(hub, Traffic(), 5)

    assert (fresh["downloading_count"], fresh["total_speed_bps"]) == (1, 1_000.0)
    assert (silent["downloading_count"], silent["total_speed_bps"]) == (1, 0.0)


async def test_a_long_course_is_told_whole(client: Client) -> None:
    task_id = await client.submit("external")
    for n in range(1, 1_101):
        await client.report(task_id, current=n, unit="bytes", message=f"number {n}")

    course = await client.get(f"/api/progress/tasks/{task_id}/speed", points=500)

    assert len(course["points"]) > 2
    assert course["points"][-1]["current_bytes"] == 1_100
