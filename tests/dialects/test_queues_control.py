"""Control over the queues dialect: cancel, delete and retry, one or many; queues, slots and the server's health."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from progresshub.edge.tokenfile import local_token
from progresshub.scheduling import upkeep
from tests.serving import Client, serving

UNKNOWN = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
FUTURE = "2999-01-01T00:00:00Z"


class Workshop:
    """A server that runs one task at a time, with a task that holds the place until it is let go."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "log"
        self.gate = folder / "gate"
        self.config = folder / "config.toml"
        self.log.touch()
        self.config.write_text(
            "".join(
                f"[commands.{name}]\nargv = {orjson.dumps([sys.executable, '-c', program, *more]).decode()}\n{rest}\n"
                for name, program, more, rest in (
                    (
                        "hold",
                        f"import os, time\nwhile not os.path.exists({str(self.gate)!r}): time.sleep(0.01)",
                        [],
                        "",
                    ),
                    (
                        "note",
                        f"import sys; open({str(self.log)!r}, 'a').write(sys.argv[1] + ' ')",
                        ["{word}"],
                        "params = {word = '\\w+'}",
                    ),
                    ("fail", "import sys; open('kept', 'a').write('x'); sys.exit(3)", [], ""),
                    ("stay", "import time; print('here', flush=True); time.sleep(60)", [], ""),
                )
            )
        )

    def serve(self, *flags: str) -> Any:
        token = local_token(self.data)
        return serving(self.data, "scheduler.slots=1", *flags, file=self.config, token=token)

    async def noted(self, client: Client, *asked: dict[str, Any]) -> list[str]:
        """In which order these are done when the place becomes free."""
        await client.submit("command", {"name": "hold"}, queue="first", priority=9)
        tasks = [
            {"type": "command", "payload": {"name": "note", "args": {"word": more.pop("word")}}, **more}
            for more in asked
        ]
        created = await client.post("/api/v1/tasks/batch", {"tasks": tasks}, 201)
        self.gate.touch()
        for task in created["tasks"]:
            await client.ended(task["task_id"])
        return self.log.read_text().split()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
async def shop(workshop: Workshop) -> AsyncIterator[Client]:
    async with workshop.serve() as client:
        yield client


async def begun(client: Client, name: str = "stay", **more: Any) -> str:
    """A command that runs and has said something."""
    task_id = await client.submit("command", {"name": name}, **more)
    async with client.session.get(f"{client.url}/api/v1/tasks/{task_id}/logs?follow=true") as response:
        await response.content.readline()
    return task_id


async def refused(client: Client, method: str, path: str, **given: Any) -> tuple[int, str]:
    status, answer = await client.ask(method, path, **given)
    return status, answer["code"]


@pytest.mark.parametrize("state", ["pending", "scheduled", "active"])
async def test_what_has_not_ended_can_be_cancelled(shop: Client, state: str) -> None:
    if state == "pending":
        await begun(shop)
    process_at = FUTURE if state == "scheduled" else None
    task_id = await shop.submit("external" if state == "active" else "demo", process_at=process_at)
    assert (await shop.task(task_id))["state"] == state

    answer = await shop.post(f"/api/v1/tasks/{task_id}/cancel")

    assert answer == {"message": "task cancelled"}
    task = await shop.task(task_id)
    assert task["state"] == "archived"
    assert "cancelled" in task["last_err"]
    assert "next_process_at" not in task


async def test_a_running_task_is_being_cancelled_until_nothing_of_it_lives(shop: Client) -> None:
    task_id = await begun(shop)

    async with shop.stream(f"/api/v1/tasks/{task_id}/progress/stream") as stream:
        await shop.post(f"/api/v1/tasks/{task_id}/cancel")
        task = await shop.task(task_id)
        again = await refused(shop, "POST", f"/api/v1/tasks/{task_id}/cancel")
        events = await stream.rest()

    assert task["state"] == "archived" or task["cancelling"]
    assert again == (409, "CANCEL_FAILED")
    assert [event.data.get("status") for event in events][-1] == "cancelled"
    ended = await shop.task(task_id)
    assert (ended["state"], ended.get("cancelling", False)) == ("archived", False)


async def test_a_task_that_waits_for_its_retry_can_be_cancelled(workshop: Workshop) -> None:
    async with workshop.serve("scheduler.backoff_s=3600.0") as client:
        task_id = await client.submit("command", {"name": "fail"})
        async with client.stream("/api/v1/events/stream", id=task_id, last_event_id="0") as stream:
            retrying = await stream.until("retrying")
            await client.post(f"/api/v1/tasks/{task_id}/cancel")

        task = await client.task(task_id)

    waiting = retrying.data["task"]
    assert (waiting["state"], waiting["retried"], waiting["last_err"]) == ("retry", 1, "exited with 3")
    assert "next_process_at" in waiting
    assert (task["state"], task["attempt"]) == ("archived", 1)
    assert "cancelled" in task["last_err"]


async def test_what_has_ended_can_not_be_cancelled(client: Client) -> None:
    ids = [await client.submit("external") for _ in range(3)]
    await client.report(ids[0], status="done")
    await client.report(ids[1], status="failed")
    await client.post(f"/api/v1/tasks/{ids[2]}/cancel")

    answers = [await refused(client, "POST", f"/api/v1/tasks/{task_id}/cancel") for task_id in (*ids, UNKNOWN)]

    assert answers == [(409, "CANCEL_FAILED")] * 3 + [(404, "TASK_NOT_FOUND")]


async def test_a_task_is_cancelled_in_its_queue_alone(client: Client) -> None:
    task_id = await client.submit("external", queue="low")

    foreign = await refused(client, "POST", f"/api/v1/tasks/{task_id}/cancel?queue=default")
    await client.post(f"/api/v1/tasks/{task_id}/cancel?queue=low")

    assert foreign == (404, "TASK_NOT_FOUND")


async def test_of_many_cancels_one_is_heard(client: Client) -> None:
    task_id = await client.submit("external")

    answers = await asyncio.gather(*(client.ask("POST", f"/api/v1/tasks/{task_id}/cancel") for _ in range(10)))

    assert Counter(status for status, _ in answers) == {200: 1, 409: 9}


@pytest.mark.parametrize("how", ["pending", "scheduled", "completed", "failed", "cancelled"])
async def test_a_task_that_does_not_run_can_be_deleted(shop: Client, how: str) -> None:
    if how == "pending":
        await begun(shop)
        task_id = await shop.submit("demo")
    else:
        task_id = await shop.submit("external", process_at=FUTURE if how == "scheduled" else None)
    if how in ("completed", "failed"):
        await shop.report(task_id, status={"completed": "done"}.get(how, how))
    elif how == "cancelled":
        await shop.post(f"/api/v1/tasks/{task_id}/cancel")

    status, answer = await shop.ask("DELETE", f"/api/v1/tasks/{task_id}")

    assert (status, answer) == (200, {"message": "task deleted"})
    assert await refused(shop, "GET", f"/api/v1/tasks/{task_id}") == (404, "TASK_NOT_FOUND")
    assert task_id not in [task["id"] for task in (await shop.get("/api/v1/tasks"))["tasks"]]


async def test_a_running_task_can_not_be_deleted(client: Client) -> None:
    task_id = await client.submit("external", queue="low")

    answers = [
        await refused(client, "DELETE", f"/api/v1/tasks/{task_id}"),
        await refused(client, "DELETE", f"/api/v1/tasks/{task_id}?queue=high"),
        await refused(client, "DELETE", f"/api/v1/tasks/{UNKNOWN}"),
    ]

    assert answers == [(409, "DELETE_FAILED"), (404, "TASK_NOT_FOUND"), (404, "TASK_NOT_FOUND")]


async def test_a_task_is_deleted_and_counted_once_however_many_ask(client: Client) -> None:
    task_id = await client.submit("external", process_at=FUTURE)

    answers = await asyncio.gather(*(client.ask("DELETE", f"/api/v1/tasks/{task_id}") for _ in range(10)))

    assert Counter(status for status, _ in answers) == {200: 1, 404: 9}
    (stats,) = await client.get("/api/v1/queues/stats", queue="default")
    assert stats["scheduled"] == 0


async def test_a_deleted_task_takes_its_log_and_files_along(workshop: Workshop) -> None:
    async with workshop.serve() as client:
        task_id = await client.submit("command", {"name": "fail"}, max_retries=0)
        await client.ended(task_id)
        before = [path for path in workshop.data.rglob("*") if task_id in path.name]

        await client.ask("DELETE", f"/api/v1/tasks/{task_id}")

        after = [path for path in workshop.data.rglob("*") if task_id in path.name]

    assert before
    assert after == []


async def test_a_failed_task_is_done_over_as_a_new_one_with_its_files(shop: Client) -> None:
    first = await shop.submit("command", {"name": "fail"}, max_retries=0, queue="low", priority=3, metadata={"a": 1})
    before = await shop.ended(first)

    created = await shop.post(f"/api/v1/tasks/{first}/retry", status=201)

    task = await shop.ended(created["task_id"])
    assert (created["queue"], created["status"]) == ("low", "pending")
    assert created["task_id"] != first
    assert task["retry_of"] == first
    same = ("type", "payload", "queue", "priority", "max_retry", "timeout", "metadata", "title")
    assert {name: task[name] for name in same} == {name: before[name] for name in same}
    assert await shop.task(first) == before
    async with shop.session.get(f"{shop.url}/api/v1/tasks/{task['id']}/files/kept") as response:
        assert await response.text() == "xx"


async def test_only_what_failed_or_was_cancelled_can_be_done_over(client: Client) -> None:
    active, completed, cancelled = [await client.submit("external") for _ in range(3)]
    scheduled = await client.submit("demo", process_at=FUTURE)
    await client.report(completed, status="done")
    await client.post(f"/api/v1/tasks/{cancelled}/cancel")

    answers = [
        await refused(client, "POST", f"/api/v1/tasks/{task_id}/retry")
        for task_id in (active, completed, scheduled, UNKNOWN)
    ]
    created = await client.post(f"/api/v1/tasks/{cancelled}/retry", status=201)

    assert answers == [(409, "RETRY_FAILED")] * 3 + [(404, "TASK_NOT_FOUND")]
    assert (await client.task(created["task_id"]))["state"] == "active"


async def test_a_failure_is_tried_again_as_often_as_was_asked(shop: Client) -> None:
    task_id = await shop.submit("command", {"name": "fail"}, max_retries=2)

    async with shop.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
        events = await stream.rest()
    task = await shop.task(task_id)

    assert [event.name for event in events] == ["progress", "done"]
    assert (task["attempt"], task["retried"], task["state"], task["last_err"]) == (3, 2, "archived", "exited with 3")


async def test_a_task_that_takes_too_long_fails(shop: Client) -> None:
    task = await shop.ended(await shop.submit("command", {"name": "stay"}, timeout="200ms", max_retries=0))

    assert (task["state"], task["error"]["type"]) == ("archived", "timeout")
    assert "0.2 s" in task["last_err"]


async def test_many_are_cancelled_retried_and_deleted_by_what_they_have_in_common(client: Client) -> None:
    mine = [await client.submit("external", queue="low") for _ in range(5)]
    other = await client.submit("external")

    counted = await client.post("/api/v1/tasks/cancel", {"queue": "low", "dry_run": True})
    untouched = await client.task(mine[0])
    cancelled = await client.post("/api/v1/tasks/cancel", {"queue": "low", "type": "external", "state": "active"})
    again = await client.post("/api/v1/tasks/cancel", {"queue": "low"})
    retried = await client.post("/api/v1/tasks/retry", {"state": "cancelled"})
    deleted = await client.post("/api/v1/tasks/delete", {"state": "archived"})

    assert counted == {"matched": 5, "done": 0}
    assert untouched["state"] == "active"
    assert cancelled == retried == deleted == {"matched": 5, "done": 5}
    assert again == {"matched": 0, "done": 0}
    listed = (await client.get("/api/v1/tasks"))["tasks"]
    assert {task.get("retry_of", "") for task in listed} == {"", *mine}
    assert other in [task["id"] for task in listed]


@pytest.mark.parametrize("word", ["cancel", "retry", "delete"])
async def test_everything_is_meant_only_when_said(client: Client, word: str) -> None:
    await client.submit("external", process_at=FUTURE)

    bodies: list[Any] = [{}, {"dry_run": True}, {"all": False}, {"state": "happy"}, []]
    answers = [await refused(client, "POST", f"/api/v1/tasks/{word}", json=body) for body in bodies]
    meant = await client.post(f"/api/v1/tasks/{word}", {"all": True})

    assert answers == [(400, "INVALID_REQUEST")] * 5
    assert meant["matched"] == (0 if word == "retry" else 1)


async def test_more_than_a_page_is_deleted_in_one_go(client: Client) -> None:
    batch = {"tasks": [{"type": "demo", "payload": {}, "process_at": FUTURE}] * 1_200}
    await client.post("/api/v1/tasks/batch", batch, 201)

    deleted = await client.post("/api/v1/tasks/delete", {"all": True})

    assert deleted == {"matched": 1_200, "done": 1_200}
    assert (await client.get("/api/v1/tasks"))["tasks"] == []


async def test_the_queues_are_there_from_the_start(client: Client) -> None:
    stats = await client.get("/api/v1/queues/stats")

    assert [(queue["queue"], queue["weight"]) for queue in stats] == [
        ("critical", 10),
        ("high", 5),
        ("default", 3),
        ("low", 1),
    ]
    names = ("pending", "active", "scheduled", "retry", "archived", "completed")
    assert [[queue[name] for name in names] for queue in stats] == [[0] * 6] * 4


async def test_a_queue_is_made_on_first_use_and_counts_its_tasks(client: Client) -> None:
    ids = [await client.submit("external", queue="fresh") for _ in range(4)]
    await client.submit("demo", queue="fresh", process_at=FUTURE)
    await client.report(ids[0], status="done")
    await client.report(ids[1], status="failed")
    await client.post(f"/api/v1/tasks/{ids[2]}/cancel")

    (stats,) = await client.get("/api/v1/queues/stats", queue="fresh")

    assert {name: count for name, count in stats.items() if count} == {
        "queue": "fresh",
        "active": 1,
        "scheduled": 1,
        "archived": 2,
        "completed": 1,
        "weight": 1,
    }


async def test_counts_and_queues_outlive_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.report(await client.submit("external", queue="fresh"), status="done")
        before = await client.get("/api/v1/queues/stats")

    async with serving(tmp_path) as client:
        after = await client.get("/api/v1/queues/stats", queue="fresh")

    assert after == [queue for queue in before if queue["queue"] == "fresh"]


async def test_an_unknown_queue_is_not_found(workshop: Workshop) -> None:
    async with workshop.serve() as client:
        assert await refused(client, "GET", "/api/v1/queues/stats?queue=nowhere") == (404, "QUEUE_NOT_FOUND")
        assert await refused(client, "PATCH", "/api/v1/queues/nowhere", json={}) == (404, "QUEUE_NOT_FOUND")


async def test_there_are_not_more_queues_than_are_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path, "scheduler.max_queues=5") as client:
        await client.submit("external", queue="fifth")

        answer = await refused(
            client, "POST", "/api/v1/tasks", json={"type": "external", "payload": {}, "queue": "sixth"}
        )

    assert answer == (429, "TOO_MANY_REQUESTS")


async def test_a_batch_makes_no_more_queues_than_are_allowed(tmp_path: Path) -> None:
    tasks = [{"type": "external", "payload": {}, "queue": f"q{n}"} for n in range(3)]
    async with serving(tmp_path, "scheduler.max_queues=5") as client:
        answer = await refused(client, "POST", "/api/v1/tasks/batch", json={"tasks": tasks})

        assert answer == (429, "TOO_MANY_REQUESTS")
        assert len(await client.get("/api/v1/queues/stats")) == 4


@pytest.mark.parametrize("body", [{"slots": -1}, {"weight": 0}, {"paused": "yes"}, {"weight": 1.5}, []])
async def test_a_queue_is_not_changed_to_nonsense(shop: Client, body: Any) -> None:
    assert await refused(shop, "PATCH", "/api/v1/queues/low", json=body) == (400, "INVALID_REQUEST")


async def test_changing_a_queue_needs_the_scope_for_it(client: Client) -> None:
    status, _ = await client.ask("PATCH", "/api/v1/queues/low", json={"paused": True})

    assert status in (401, 403)


async def test_a_paused_queue_starts_nothing_until_it_is_resumed_even_by_another_server(workshop: Workshop) -> None:
    async with workshop.serve() as client:
        status, changed = await client.ask("PATCH", "/api/v1/queues/low", json={"paused": True, "weight": 7})
        waiting = await client.submit("demo", {"count": 0}, queue="low")
        await client.ended(await client.submit("demo", {"count": 0}))
        state = (await client.task(waiting))["state"]

    async with workshop.serve() as client:
        await client.ended(await client.submit("demo", {"count": 0}))
        state_later = (await client.task(waiting))["state"]
        _, resumed = await client.ask("PATCH", "/api/v1/queues/low", json={"paused": False})
        task = await client.ended(waiting)

    assert (status, changed["paused"], changed["weight"]) == (200, True, 7)
    assert (state, state_later) == ("pending", "pending")
    assert (resumed["paused"], resumed["weight"], task["state"]) == (False, 7, "completed")


async def test_the_higher_priority_goes_first_and_then_the_older(workshop: Workshop) -> None:
    async with workshop.serve() as client:
        order = await workshop.noted(
            client,
            {"word": "a", "priority": 1},
            {"word": "b"},
            {"word": "c", "priority": 9},
            {"word": "d", "priority": 1},
            {"word": "e"},
        )

    assert order == ["c", "a", "d", "b", "e"]


async def test_queues_share_the_slots_by_their_weights(workshop: Workshop) -> None:
    async with workshop.serve("queues.heavy.weight=3", "queues.light.weight=1", "queues.first.weight=1") as client:
        order = await workshop.noted(
            client,
            *({"word": "l", "queue": "light"} for _ in range(4)),
            *({"word": "h", "queue": "heavy"} for _ in range(6)),
        )

    assert Counter(order[:4]) == {"h": 3, "l": 1}
    assert Counter(order[4:8]) == {"h": 3, "l": 1}


async def test_a_queue_with_slots_of_its_own_takes_no_more(workshop: Workshop) -> None:
    async with workshop.serve("scheduler.slots=4", "queues.narrow.slots=1") as client:
        first = await begun(client, queue="narrow")
        second = await client.submit("command", {"name": "stay"}, queue="narrow")
        other = await begun(client)

        states = [(await client.task(task_id))["state"] for task_id in (first, second, other)]
        await client.post("/api/v1/tasks/cancel", {"all": True})
        await asyncio.gather(*map(client.ended, (first, second, other)))

    assert states == ["active", "pending", "active"]


async def test_what_has_ended_is_gone_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "ROUND_S", 0.01)
    async with serving(tmp_path, "scheduler.retention_s=0.0") as client:
        task_id = await client.submit("external", queue="low")
        live = await client.submit("external", queue="low")
        async with client.stream("/api/v1/events/stream", id=task_id) as stream:
            await client.report(task_id, status="done")
            await stream.until("deleted")

        gone = await refused(client, "GET", f"/api/v1/tasks/{task_id}")
        (stats,) = await client.get("/api/v1/queues/stats", queue="low")

        assert gone == (404, "TASK_NOT_FOUND")
        assert (stats["completed"], stats["active"]) == (0, 1)
        assert (await client.task(live))["state"] == "active"


async def test_what_waits_and_what_is_done_outside_outlives_the_server(workshop: Workshop) -> None:
    async with workshop.serve() as client:
        outside = await client.submit("external")
        await client.report(outside, percent=50)
        scheduled = await client.submit("demo", process_at=FUTURE)
        command = await begun(client)
        pending = await client.submit("command", {"name": "note", "args": {"word": "later"}})

    async with workshop.serve() as client:
        noted = await client.ended(pending)
        states = [await client.task(task_id) for task_id in (outside, scheduled, command)]

    assert noted["state"] == "completed"
    assert [task["state"] for task in states] == ["active", "scheduled", "archived"]
    assert "server" in states[2]["last_err"]
    assert states[0]["progress"]["percentage"] == 50


async def test_a_server_says_how_it_is(client: Client) -> None:
    health = await client.get("/health")

    assert (health["status"], health["services"]) == ("healthy", {"store": "healthy"})
    assert health["timestamp"].endswith("Z")
    assert health["uptime"] >= 0
    assert await client.get("/ready") == {"status": "ready"}
    assert await client.get("/live") == {"status": "alive"}
