"""Progress over the queues dialect: the latest, the history, what is told about it, and reports from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.serving import Client, command_file, serving

UNKNOWN = "f47ac10b-58cc-4372-a567-0e02b2c3d479"


async def latest(client: Client, task_id: str) -> Any:
    return await client.get(f"/api/v1/tasks/{task_id}/progress")


async def history(client: Client, task_id: str, **query: Any) -> Any:
    return await client.get(f"/api/v1/tasks/{task_id}/progress/history", **query)


async def test_a_task_that_has_said_nothing_has_no_progress(client: Client) -> None:
    task_id = await client.submit("external")

    status, answer = await client.ask("GET", f"/api/v1/tasks/{task_id}/progress")

    assert (status, answer["code"]) == (404, "PROGRESS_NOT_FOUND")
    assert await history(client, task_id) == {"task_id": task_id, "count": 0, "history": []}
    assert await client.get(f"/api/v1/tasks/{task_id}/progress/info") == {
        "task_id": task_id,
        "has_progress": False,
        "length": 0,
        "first_entry": "",
        "last_entry": "",
    }


@pytest.mark.parametrize("what", ["", "/history", "/info", "/stream"])
async def test_there_is_nothing_of_an_unknown_task(client: Client, what: str) -> None:
    status, answer = await client.ask("GET", f"/api/v1/tasks/{UNKNOWN}/progress{what}")

    assert (status, answer["code"], answer["details"]) == (404, "TASK_NOT_FOUND", {"task_id": UNKNOWN})


async def test_the_latest_entry_is_shown_with_all_that_is_known(client: Client) -> None:
    task_id = await client.submit("external")

    await client.report(task_id, percent=50.9, stage="processing", message="Processing data...", metadata={"a": [1]})

    body = await latest(client, task_id)
    at_ms = body["progress"].pop("timestamp_ms")
    left_s = body["progress"].pop("eta_seconds", None)
    assert body == {
        "progress": {
            "task_id": task_id,
            "percentage": 50,
            "stage": "processing",
            "message": "Processing data...",
            "metadata": {"a": [1]},
        },
        "is_final": False,
        "stream_id": body["stream_id"],
        "status": "",
    }
    assert body["stream_id"].partition("-")[0] == str(at_ms)
    assert left_s is None or left_s >= 0


async def test_unknown_progress_is_zero_and_says_so(client: Client) -> None:
    task_id = await client.submit("external")

    await client.report(task_id, message="looking around")

    progress = (await latest(client, task_id))["progress"]
    assert (progress["percentage"], progress["indeterminate"]) == (0, True)


async def test_success_is_one_hundred_percent(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, percent=99.999)
    nearly = await latest(client, task_id)

    await client.report(task_id, status="done", result={"answer": 42})

    body = await latest(client, task_id)
    assert nearly["progress"]["percentage"] == 99
    assert (body["progress"]["percentage"], body["progress"]["stage"]) == (100, "completed")
    assert (body["is_final"], body["status"]) == (True, "completed")
    task = await client.task(task_id)
    assert (task["state"], task["result"]) == ("completed", {"answer": 42})


async def test_one_hundred_percent_is_not_yet_success(client: Client) -> None:
    task_id = await client.submit("external")

    await client.report(task_id, percent=100)

    body = await latest(client, task_id)
    assert (body["progress"]["percentage"], body["is_final"]) == (99, False)


async def test_a_failure_keeps_its_honest_percentage(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, percent=30, stage="digging")

    await client.report(task_id, status="failed", error="hit rock", error_type="geology")

    body = await latest(client, task_id)
    assert (body["progress"]["percentage"], body["progress"]["stage"]) == (30, "failed")
    assert (body["progress"]["message"], body["is_final"], body["status"]) == ("hit rock", True, "failed")
    task = await client.task(task_id)
    assert (task["state"], task["last_err"]) == ("archived", "hit rock")
    assert task["error"] == {"type": "geology", "message": "hit rock", "details": {}}


async def test_a_cancelled_task_says_so_and_keeps_its_percentage(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, percent=30)

    await client.post(f"/api/v1/tasks/{task_id}/cancel")

    body = await latest(client, task_id)
    assert (body["progress"]["percentage"], body["progress"]["stage"]) == (30, "cancelled")
    assert (body["is_final"], body["status"]) == (True, "cancelled")


@pytest.mark.parametrize(
    ("text", "percentage", "message"),
    [("42%", 42, ""), ("42.7 %", 42, ""), (" 3/10\n", 30, ""), ("1.5/3", 50, ""), ("digging", 0, "digging")],
)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/plain; charset=utf-8"]
)
async def test_a_plain_text_is_a_report(
    client: Client, text: str, percentage: int, message: str, content_type: str
) -> None:
    task_id = await client.submit("external")

    await client.post(f"/api/v1/tasks/{task_id}/progress", data=text, headers={"Content-Type": content_type})

    progress = (await latest(client, task_id))["progress"]
    assert (progress["percentage"], progress["message"]) == (percentage, message)


@pytest.mark.parametrize(
    ("text", "state", "error"),
    [
        ("done", "completed", ""),
        ("failed", "archived", "reported as failed"),
        ("failed: no\nluck", "archived", "no\nluck"),
    ],
)
async def test_a_plain_word_ends_a_task(client: Client, text: str, state: str, error: str) -> None:
    task_id = await client.submit("external")

    await client.post(f"/api/v1/tasks/{task_id}/progress", data=text, headers={"Content-Type": "text/plain"})

    task = await client.task(task_id)
    assert (task["state"], task["last_err"]) == (state, error)


async def test_a_json_report_may_come_as_curl_sends_it(client: Client) -> None:
    task_id = await client.submit("external")
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    await client.post(f"/api/v1/tasks/{task_id}/progress", data='{"percent": 12, "stage": "a"}', headers=form)

    progress = (await latest(client, task_id))["progress"]
    assert (progress["percentage"], progress["stage"]) == (12, "a")


async def test_amounts_become_a_percentage(client: Client) -> None:
    task_id = await client.submit("external", {"total": 200, "unit": "pages"})

    answer = await client.report(task_id, current=50)

    assert (answer["percentage"], answer["current"], answer["total"], answer["unit"]) == (25, 50, 200, "pages")


async def test_steps_are_weighed_and_end_one_by_one(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, steps=[{"name": "a", "weight": 3}, {"name": "b"}])

    await client.report(task_id, step="a", status="done", result={"n": 1})
    await client.report(task_id, step="b", percent=50)

    task = await client.task(task_id)
    assert [(step["name"], step["state"], step.get("percentage", 0)) for step in task["steps"]] == [
        ("a", "completed", 100),
        ("b", "running", 50),
    ]
    assert (task["state"], task["progress"]["percentage"]) == ("active", 87)


@pytest.mark.parametrize(
    ("report", "shown"),
    [
        ({"percent": 1e300}, 99),
        ({"percent": -5}, 0),
        ({"current": 5, "total": 0}, 0),
        ({"current": -1, "total": 10}, 0),
        ({"current": 1e300, "total": 1e-300}, 99),
        ({"percent": 5, "eta_s": 1e300, "speed_bps": -1}, 5),
    ],
)
async def test_numbers_out_of_bounds_do_no_harm(client: Client, report: Any, shown: int) -> None:
    task_id = await client.submit("external")

    answer = await client.report(task_id, **report)

    assert answer["percentage"] == shown


async def test_control_sequences_do_not_reach_people(client: Client) -> None:
    task_id = await client.submit("external")

    answer = await client.report(task_id, message="\x1b[31mred\x1b[0m\x00\x07 and\u2028 plain", stage="a\x9bb")

    assert (answer["message"], answer["stage"]) == ("red and plain", "ab")


async def test_long_texts_are_cut_and_large_metadata_left_out(client: Client) -> None:
    task_id = await client.submit("external")

    answer = await client.report(task_id, message="m" * 3_000, metadata={"a": "b" * 20_000})

    assert (len(answer["message"]), answer["message"][-1]) == (2_000, "…")
    assert list(answer["metadata"]) == ["left_out"]


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"", "INVALID_REPORT"),
        ("application/json", b"{", "INVALID_REPORT"),
        ("application/json", b"[]", "INVALID_REPORT"),
        ("application/json", b'"42%"', "INVALID_REPORT"),
        ("application/json", b'{"percent": "42"}', "INVALID_REPORT"),
        ("application/json", b'{"percent": NaN}', "INVALID_REPORT"),
        ("application/json", b'{"percent": 1e999}', "INVALID_REPORT"),
        ("application/json", b'{"status": "perhaps"}', "INVALID_REPORT"),
        ("application/json", b'{"message": "\\ud800"}', "INVALID_REPORT"),
        ("application/json", b'{"message": "\xff"}', "INVALID_REPORT"),
        ("application/json", b'{"metadata": {"a": ' + b"[" * 400 + b"]" * 400 + b"}}", "INVALID_REPORT"),
        ("application/json", b"[" * 5_000, "INVALID_REPORT"),
        ("text/plain", b"", "INVALID_REPORT"),
        ("text/plain", b"  \n", "INVALID_REPORT"),
        ("text/plain", b"\xff", "INVALID_REQUEST"),
    ],
)
async def test_what_is_no_report_is_refused(client: Client, content_type: str, body: bytes, code: str) -> None:
    task_id = await client.submit("external")

    status, answer = await client.ask(
        "POST", f"/api/v1/tasks/{task_id}/progress", data=body, headers={"Content-Type": content_type}
    )

    assert (status, answer["code"]) == (400, code)
    assert (await client.task(task_id))["state"] == "active"


async def test_only_active_external_tasks_take_reports(client: Client) -> None:
    finished = await client.submit("external")
    await client.report(finished, status="done")
    scheduled = await client.submit("external", process_at="2999-01-01T00:00:00Z")
    foreign = await client.submit("demo", process_at="2999-01-01T00:00:00Z")

    answers = [
        await client.ask("POST", f"/api/v1/tasks/{task_id}/progress", json={"percent": 1})
        for task_id in (finished, scheduled, foreign, UNKNOWN)
    ]

    assert [(status, body["code"]) for status, body in answers] == [
        *[(409, "REPORT_FAILED")] * 3,
        (404, "TASK_NOT_FOUND"),
    ]


async def test_each_point_and_each_message_is_recorded_and_nothing_between(client: Client) -> None:
    task_id = await client.submit("external")
    for percent in (1.0, 1.2, 1.9, 2.0):
        await client.report(task_id, percent=percent)
    await client.report(task_id, message="here")
    await client.report(task_id, stage="next")

    recorded = await history(client, task_id)

    entries = [entry["progress"] for entry in recorded["history"]]
    assert [(entry["percentage"], entry["stage"], entry["message"]) for entry in entries] == [
        (1, "", ""),
        (2, "", ""),
        (2, "", "here"),
        (2, "next", ""),
    ]


async def test_the_history_is_told_from_its_beginning_to_its_end(client: Client) -> None:
    task_id = await client.submit("external")
    for percent in (10, 20, 30):
        await client.report(task_id, percent=percent, stage="init", message="Starting...")
    await client.report(task_id, status="done")

    body = await history(client, task_id)

    assert (body["task_id"], body["count"], len(body["history"])) == (task_id, 4, 4)
    assert [entry["progress"]["percentage"] for entry in body["history"]] == [10, 20, 30, 100]
    assert [entry["is_final"] for entry in body["history"]] == [False, False, False, True]
    assert [entry.get("status") for entry in body["history"]] == [None, None, None, "completed"]
    info = await client.get(f"/api/v1/tasks/{task_id}/progress/info")
    assert info == {
        "task_id": task_id,
        "has_progress": True,
        "length": 4,
        "first_entry": body["history"][0]["stream_id"],
        "last_entry": body["history"][-1]["stream_id"],
    }


async def test_the_history_may_begin_anywhere(client: Client) -> None:
    task_id = await client.submit("external")
    for percent in range(10):
        await client.report(task_id, percent=percent)
    ids = [entry["stream_id"] for entry in (await history(client, task_id))["history"]]

    async def told(start_id: str) -> list[str]:
        return [entry["stream_id"] for entry in (await history(client, task_id, start_id=start_id))["history"]]

    assert await told("-") == ids
    assert await told("0") == ids
    assert await told(ids[4]) == ids[4:]
    ms = ids[4].partition("-")[0]
    assert await told(ms) == [one for one in ids if int(one.partition("-")[0]) >= int(ms)]
    assert await told(f"{ids[-1].partition('-')[0]}-999999") == []
    assert await told("9" * 15) == []


@pytest.mark.parametrize("text", ["x", "", "$", "+", "1-", "-1", "1-2-3", "1.5", "9" * 16, "٣", " 1"])
async def test_a_history_begins_at_no_such_thing(client: Client, text: str) -> None:
    task_id = await client.submit("external")

    status, answer = await client.ask("GET", f"/api/v1/tasks/{task_id}/progress/history", params={"start_id": text})

    assert (status, answer["code"]) == (400, "INVALID_START_ID")


async def test_a_long_history_comes_in_pages(client: Client) -> None:
    task_id = await client.submit("external")
    for n in range(1_050):
        await client.report(task_id, message=str(n))

    first = await history(client, task_id)
    last_of_first = first["history"][-1]["stream_id"]
    second = await history(client, task_id, start_id=last_of_first)

    assert (first["count"], second["count"]) == (1_000, 51)
    messages = [entry["progress"]["message"] for entry in (*first["history"], *second["history"][1:])]
    assert messages == [str(n) for n in range(1_050)]


async def test_a_history_that_grows_too_long_is_thinned_and_keeps_its_ends(tmp_path: Path) -> None:
    async with serving(tmp_path, "scheduler.max_progress_entries=20") as client:
        task_id = await client.submit("external")
        for n in range(100):
            await client.report(task_id, message=str(n))
        await client.report(task_id, status="done")

        body = await history(client, task_id)

    messages = [entry["progress"]["message"] for entry in body["history"]]
    assert 10 <= body["count"] <= 21
    assert messages[0] == "0"
    assert body["history"][-1]["is_final"]


async def test_stream_ids_grow_over_all_tasks(client: Client) -> None:
    ids = [await client.submit("external") for _ in range(5)]
    told = []

    for n in range(10):
        for task_id in ids:
            await client.report(task_id, percent=n)
            stream_id = (await latest(client, task_id))["stream_id"]
            told.append(tuple(map(int, stream_id.split("-"))))

    assert told == sorted(set(told))


async def test_silence_marks_an_external_task_until_it_is_heard_again(tmp_path: Path) -> None:
    async with serving(tmp_path, "scheduler.stalled_after_s=0.1") as client:
        task_id = await client.submit("external")
        await client.report(task_id, percent=10)

        async with client.stream("/api/v1/events/stream", id=task_id, last_event_id="0") as stream:
            silent = await stream.until("stalled")
            await client.report(task_id, percent=20)
            heard = await stream.until("revived")

    assert (silent.data["task"]["state"], silent.data["task"]["stalled"]) == ("active", True)
    assert (heard.data["task"]["state"], heard.data["task"].get("stalled", False)) == ("active", False)


async def test_progress_outlives_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        task_id = await client.submit("external")
        for percent in range(5):
            await client.report(task_id, percent=percent)
        before = await history(client, task_id), await latest(client, task_id)

    async with serving(tmp_path) as client:
        after = await history(client, task_id), await latest(client, task_id)
        await client.report(task_id, percent=50)

    assert after == before


async def test_a_new_attempt_shows_the_entry_before_until_it_reports(tmp_path: Path) -> None:
    program = (
        "import os, sys, time; again = os.path.exists('x'); open('x', 'w').close();"
        "again and time.sleep(60);"
        "[os.write(int(os.environ['PROGRESSHUB_FD']), b'{\"percent\": %g}\\n' % n) for n in (30, 30.5)]; sys.exit(1)"
    )
    config = command_file(tmp_path, twice=program)
    async with serving(tmp_path / "data", file=config) as client:
        task_id = await client.submit("command", {"name": "twice"})
        async with client.stream("/api/v1/events/stream", id=task_id, last_event_id="0") as stream:
            await stream.until("started")
            await stream.until("started")

        body = await latest(client, task_id)
        await client.post(f"/api/v1/tasks/{task_id}/cancel")
        task = await client.ended(task_id)

    assert (body["progress"]["percentage"], body["is_final"]) == (30, False)
    assert (task["attempt"], task["retried"]) == (2, 1)
