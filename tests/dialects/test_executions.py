"""The executions dialect over REST: begin, look at, list, cancel, and how it says no."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.serving import Client, command_file, serving

EXECUTIONS = "/api/v1/executions"
UNKNOWN = "exec_000000000000"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
FIELDS = ["execution_id", "type", "target_id", "status", "progress"]
FIELDS += ["outputs", "error", "started_at", "completed_at", "failed_at"]


def step(name: str, count: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "demo", "payload": {"count": count, "delay_ms": 1}, **more}


async def begun(client: Client, kind: str = "agent", target: str = "external", **more: Any) -> str:
    answer = await client.post(EXECUTIONS, {"type": kind, "target_id": target, "inputs": {}, **more}, 202)
    return str(answer["execution_id"])


async def inline(client: Client, *steps: dict[str, Any], **more: Any) -> str:
    return await begun(client, "pipeline", "inline", config={"steps": steps, **more})


async def task_id(client: Client, execution_id: str) -> str:
    """The task behind an execution, as the queues dialect lists it."""
    tasks = (await client.get("/api/v1/tasks"))["tasks"]
    return next(str(t["id"]) for t in tasks if t["id"].replace("-", "").startswith(execution_id.removeprefix("exec_")))


async def ended(client: Client, execution_id: str) -> Any:
    await client.ended(await task_id(client, execution_id))
    return await client.get(f"{EXECUTIONS}/{execution_id}")


async def test_an_execution_is_accepted_with_the_address_of_its_status(client: Client) -> None:
    answer = await client.post(EXECUTIONS, {"type": "agent", "target_id": "external", "inputs": {}}, 202)

    assert list(answer) == ["execution_id", "status", "message", "status_url", "created_at"]
    assert re.fullmatch("exec_[0-9a-f]{12}", answer["execution_id"])
    assert (answer["status"], answer["status_url"]) == ("pending", f"{EXECUTIONS}/{answer['execution_id']}")
    assert TIME.fullmatch(answer["created_at"])


async def test_an_execution_shows_every_field_all_the_time(client: Client) -> None:
    execution_id = await begun(client)
    running = await client.get(f"{EXECUTIONS}/{execution_id}")
    task = await task_id(client, execution_id)
    await client.report(task, percent=40.06, stage="processing")
    halfway = await client.get(f"{EXECUTIONS}/{execution_id}")
    await client.report(task, status="done", result={"letters": 3})
    completed = await client.get(f"{EXECUTIONS}/{execution_id}")

    assert list(running) == FIELDS
    assert (running["type"], running["target_id"], running["status"]) == ("agent", "external", "running")
    assert [running[name] for name in ("progress", "outputs", "error", "completed_at", "failed_at")] == [None] * 5
    assert halfway["progress"] == {
        "current_step": 0,
        "total_steps": 1,
        "percentage": 40.0,
        "current_step_name": "processing",
    }
    assert (completed["status"], completed["outputs"], completed["error"]) == ("completed", {"letters": 3}, None)
    assert completed["progress"]["percentage"] == 100.0
    assert all(TIME.fullmatch(completed[name]) for name in ("started_at", "completed_at"))


async def test_a_failed_execution_says_why_and_keeps_its_percentage(client: Client) -> None:
    execution_id = await begun(client)
    task = await task_id(client, execution_id)
    await client.report(task, percent=60)
    await client.report(task, status="failed", error="hit rock", error_type="geology")

    failed = await client.get(f"{EXECUTIONS}/{execution_id}")

    assert (failed["status"], failed["outputs"], failed["completed_at"]) == ("failed", None, None)
    assert failed["error"] == {"type": "geology", "message": "hit rock", "details": {}}
    assert failed["progress"]["percentage"] == 60.0
    assert TIME.fullmatch(failed["failed_at"])


async def test_progress_is_nothing_until_there_is_some_and_all_when_it_is_done(client: Client) -> None:
    execution_id = await begun(client)
    task = await task_id(client, execution_id)
    path = f"{EXECUTIONS}/{execution_id}/progress"
    before = await client.ask("GET", path)
    await client.report(task, message="no idea how far")
    unknown = await client.ask("GET", path)
    await client.report(task, percent=100)
    nearly = await client.get(path)
    await client.report(task, status="done")
    after = await client.get(path)

    assert before == unknown == (204, None)
    assert nearly["percentage"] == 99.9
    assert list(after) == ["current_step", "total_steps", "percentage", "current_step_name"]
    assert after["percentage"] == 100.0


async def test_a_pipeline_counts_its_steps_from_zero_and_outputs_each_result(client: Client) -> None:
    execution_id = await inline(client, step("one"), step("two", 1), step("three"))

    done = await ended(client, execution_id)

    assert (done["type"], done["target_id"], done["status"]) == ("pipeline", "inline", "completed")
    assert done["progress"] == {
        "current_step": 2,
        "total_steps": 3,
        "percentage": 100.0,
        "current_step_name": "three",
    }
    assert list(done["outputs"]) == ["one", "two", "three"]
    assert done["outputs"]["two"] == {"message": "", "count": 1}


async def test_a_pipeline_that_fails_is_at_the_step_that_failed(tmp_path: Path) -> None:
    file = command_file(tmp_path, no="raise SystemExit(3)")
    async with serving(tmp_path / "data", file=file) as client:
        broken = {"name": "no", "type": "command", "payload": {"name": "no"}}
        loose = {**broken, "name": "loose", "on_failure": "continue"}
        failed = await ended(client, await inline(client, step("one"), loose, broken, step("last")))

    assert (failed["status"], failed["progress"]["current_step_name"]) == ("failed", "no")
    assert failed["progress"]["current_step"] == 2
    assert failed["error"]["message"] == "step no failed: exited with 3"
    assert failed["error"]["details"] == {"exit_code": 3, "step": "no"}


async def test_a_result_that_is_no_object_is_put_into_one(client: Client) -> None:
    execution_id = await begun(client)
    await client.report(await task_id(client, execution_id), status="done", result=[1])

    assert (await client.get(f"{EXECUTIONS}/{execution_id}"))["outputs"] == {"result": [1]}


async def test_work_of_other_dialects_is_an_execution_too_by_either_id(client: Client) -> None:
    task = await client.submit("external", {"title": "elsewhere"})
    execution_id = f"exec_{task.replace('-', '')[:12]}"

    by_short = await client.get(f"{EXECUTIONS}/{execution_id}")
    by_task = await client.get(f"{EXECUTIONS}/{task}")

    assert by_short == by_task
    assert (by_short["execution_id"], by_short["target_id"]) == (execution_id, "external")


async def test_an_execution_that_left_memory_is_found_by_its_id(tmp_path: Path) -> None:
    async with serving(tmp_path, "store.recent=0") as client:
        execution_id = await inline(client, step("a"))

        done = await ended(client, execution_id)

    assert (done["execution_id"], done["status"]) == (execution_id, "completed")


async def test_cancelling_says_what_was_done_and_that_there_was_nothing_to_do(client: Client) -> None:
    execution_id = await begun(client)

    cancelled = await client.post(f"{EXECUTIONS}/{execution_id}/cancel")
    again = await client.ask("POST", f"{EXECUTIONS}/{execution_id}/cancel")
    after = await client.get(f"{EXECUTIONS}/{execution_id}")

    assert cancelled["message"]
    assert list(cancelled["data"]) == ["execution_id", "status", "cancelled_at"]
    assert (cancelled["data"]["execution_id"], cancelled["data"]["status"]) == (execution_id, "cancelled")
    assert again == (400, {"detail": f"Execution {execution_id} is cancelled and can't be cancelled."})
    assert (after["status"], after["outputs"], after["error"]) == ("cancelled", None, None)


@pytest.mark.parametrize("path", ["", "/progress"])
@pytest.mark.parametrize("unknown", [UNKNOWN, "exec_1", "x", "00000000-0000-0000-0000-000000000000"])
async def test_an_unknown_execution_is_not_found(client: Client, unknown: str, path: str) -> None:
    status, answer = await client.ask("GET", f"{EXECUTIONS}/{unknown}{path}")

    assert (status, answer) == (404, {"detail": f"There is no execution {unknown}."})


async def test_an_unknown_target_is_refused_at_once(client: Client) -> None:
    asked = [("agent", "nothing"), ("pipeline", "nothing"), ("agent", "pipeline")]
    answers = [await client.ask("POST", EXECUTIONS, json={"type": kind, "target_id": target}) for kind, target in asked]

    assert [status for status, _ in answers] == [404, 404, 404]
    assert [answer["detail"] for _, answer in answers] == [
        "There is no task type nothing.",
        "There is no pipeline nothing.",
        "There is no task type pipeline.",
    ]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"target_id": "demo"}, ["body", "type"]),
        ({"type": "robot", "target_id": "demo"}, ["body", "type"]),
        ({"type": "agent", "target_id": 7}, ["body", "target_id"]),
        ({"type": "agent", "target_id": "demo", "inputs": []}, ["body", "inputs"]),
        ({"type": "agent", "target_id": "demo", "inputs": {"count": "many"}}, ["body", "inputs"]),
        ({"type": "agent", "target_id": "demo", "config": {"priority": 10}}, ["body", "config", "priority"]),
        ({"type": "pipeline", "target_id": "inline"}, ["body", "config", "steps"]),
        ({"type": "pipeline", "target_id": "inline", "config": {"steps": [{"name": "a"}]}}, ["body", "config"]),
        ({"type": "agent", "target_id": "demo", "callback_url": "ftp://x/"}, ["body", "callback_url"]),
        ({"type": "agent", "target_id": "demo", "callback_url": "http://[::1]/"}, ["body", "callback_url"]),
        ([], ["body"]),
    ],
)
async def test_what_does_not_fit_is_told_with_its_place(client: Client, body: Any, loc: list[str]) -> None:
    status, answer = await client.ask("POST", EXECUTIONS, json=body)

    assert status == 422
    (mismatch,) = answer["detail"]
    assert list(mismatch) == ["loc", "msg", "type"]
    assert mismatch["loc"] == loc


async def test_a_query_that_does_not_fit_is_told_with_its_place(client: Client) -> None:
    wrong = ({"page": 0}, {"page_size": 101}, {"status": "active"}, {"sort": "name"}, {"order": "up"}, {"type": "x"})
    for query in wrong:
        status, answer = await client.ask("GET", EXECUTIONS, params=query)

        assert (status, answer["detail"][0]["loc"]) == (422, ["query", *query])


async def test_refusals_of_the_house_come_in_these_words_too(client: Client) -> None:
    method = await client.ask("DELETE", EXECUTIONS)
    path = await client.ask("GET", f"{EXECUTIONS}/x/y/z")
    media = await client.ask("POST", EXECUTIONS, data=b"{}", headers={"Content-Type": "text/plain"})
    upgrade = await client.ask("GET", f"{EXECUTIONS}/{UNKNOWN}/progress/ws")

    assert [status for status, _ in (method, path, media, upgrade)] == [405, 404, 415, 426]
    assert all(list(answer) == ["detail"] for _, answer in (method, path, media, upgrade))


async def test_a_list_is_paged_with_all_its_numbers(client: Client) -> None:
    ids = [await begun(client) for _ in range(5)]

    first = await client.get(EXECUTIONS, page_size=2)
    last = await client.get(EXECUTIONS, page_size=2, page=3)
    beyond = await client.get(EXECUTIONS, page_size=2, page=9)
    oldest = await client.get(EXECUTIONS, page_size=2, order="asc")

    assert [one["execution_id"] for one in first["executions"]] == [ids[4], ids[3]]
    assert first["pagination"] == {
        "page": 1,
        "page_size": 2,
        "total_items": 5,
        "total_pages": 3,
        "has_next": True,
        "has_prev": False,
        "next_page": 2,
        "prev_page": None,
    }
    assert [one["execution_id"] for one in last["executions"]] == [ids[0]]
    assert (last["pagination"]["has_next"], last["pagination"]["prev_page"]) == (False, 2)
    assert beyond["executions"] == []
    assert [one["execution_id"] for one in oldest["executions"]] == [ids[0], ids[1]]


async def test_every_page_in_either_order_holds_each_execution_once(client: Client) -> None:
    ids = [await begun(client) for _ in range(7)]

    for order, wanted in (("desc", ids[::-1]), ("asc", ids)):
        pages = [await client.get(EXECUTIONS, page_size=3, page=page, order=order) for page in (1, 2, 3)]
        assert [one["execution_id"] for page in pages for one in page["executions"]] == wanted


async def test_a_list_is_chosen_by_status_type_and_target(client: Client) -> None:
    pipeline = await inline(client, step("a"))
    await ended(client, pipeline)
    external, cancelled = await begun(client), await begun(client)
    await client.post(f"{EXECUTIONS}/{cancelled}/cancel")

    async def listed(**query: str) -> list[str]:
        answer = await client.get(EXECUTIONS, **query)
        assert answer["pagination"]["total_items"] == len(answer["executions"])
        return [one["execution_id"] for one in answer["executions"]]

    assert await listed() == [cancelled, external, pipeline]
    assert await listed(status="running") == [external]
    assert await listed(status="completed") == [pipeline]
    assert await listed(type="pipeline") == [pipeline]
    assert await listed(type="agent") == [cancelled, external]
    assert await listed(type="agent", target_id="external", status="cancelled") == [cancelled]
    assert await listed(type="pipeline", target_id="inline") == [pipeline]
    assert await listed(target_id="external") == [cancelled, external]
    assert await listed(type="pipeline", target_id="other") == []


async def test_a_list_is_sorted_by_times_with_those_that_have_none_last(client: Client) -> None:
    first, second, running = await begun(client), await begun(client), await begun(client)
    for execution_id in (second, first):
        await client.report(await task_id(client, execution_id), status="done")

    down = await client.get(EXECUTIONS, sort="completed_at")
    up = await client.get(EXECUTIONS, sort="completed_at", order="asc")

    assert [one["execution_id"] for one in down["executions"]][2] == running
    assert {one["execution_id"] for one in up["executions"][:2]} == {first, second}
    times = [one["completed_at"] for one in up["executions"][:2]]
    assert times == sorted(times)
    assert [one["completed_at"] for one in down["executions"][:2]] == times[::-1]


async def test_the_same_key_begins_one_execution(client: Client) -> None:
    body = {"type": "agent", "target_id": "external", "inputs": {}}
    answers = [
        await client.post(EXECUTIONS, body, 202, headers={"Idempotency-Key": "k"}),
        await client.post(EXECUTIONS, body, 202, headers={"Idempotency-Key": "k"}),
    ]

    assert answers[0] == answers[1]
    assert (await client.get(EXECUTIONS))["pagination"]["total_items"] == 1


async def test_how_to_go_about_it_can_be_said(client: Client) -> None:
    execution_id = await begun(client, config={"queue": "late", "priority": 7, "max_retries": 2, "timeout_s": 90})

    task = await client.task(await task_id(client, execution_id))

    assert [task[name] for name in ("queue", "priority", "max_retry", "timeout")] == ["late", 7, 2, "1m30s"]


async def test_a_failure_is_final_at_once_unless_retries_were_asked_for(tmp_path: Path) -> None:
    file = command_file(tmp_path, no="raise SystemExit(3)")
    async with serving(tmp_path / "data", "scheduler.backoff_s=3600", file=file) as client:
        execution_id = await begun(client, target="command", inputs={"name": "no"})

        failed = await ended(client, execution_id)

    assert failed["status"] == "failed"


async def test_the_polling_client_sees_it_through(client: Client) -> None:
    """What the reference's client does, with `requests`."""

    def poll() -> tuple[list[float], str]:
        session = requests.Session()
        url = client.url + EXECUTIONS
        body = {"type": "agent", "target_id": "demo", "inputs": {"count": 3, "delay_ms": 50}}
        execution_id = session.post(url, json=body, timeout=10).json()["execution_id"]
        percentages: list[float] = []
        while True:
            response = session.get(f"{url}/{execution_id}/progress", timeout=10)
            if response.status_code == 200:
                percentages.append(float(f"{response.json()['percentage']:.1f}"))
            status = session.get(f"{url}/{execution_id}", timeout=10).json()["status"]
            if status not in ("pending", "running"):
                session.close()
                return percentages, status

    percentages, status = await asyncio.to_thread(poll)

    assert status == "completed"
    assert percentages == sorted(percentages)
