"""Who answers where several dialects could."""

from __future__ import annotations

from pathlib import Path

from progresshub.dialects.crossroads import Claim, by_itself, claim
from tests import make
from tests.dialects.studio import studio
from tests.serving import Client

A = Claim("a", frozenset({"film"}), by_itself(lambda task: "as a says"))
B = Claim("b", frozenset({"song"}), by_itself(lambda task: "as b says"))
LAST = Claim("c", frozenset(), by_itself(lambda task: "as c says"))
ALL = (A, B, LAST)


def test_a_task_is_shown_by_the_dialect_it_came_through():
    assert claim(make.task(origin="b", kind="film"), ALL) is B


def test_one_that_came_through_another_is_shown_by_its_kind():
    assert claim(make.task(origin="queues", kind="film"), ALL) is A
    assert claim(make.task(origin="queues", kind="song"), ALL) is B


def test_what_nobody_claims_is_shown_by_the_last():
    assert claim(make.task(origin="queues", kind="demo"), ALL) is LAST


async def test_the_status_of_an_unknown_task_is_refused_in_all_words(client: Client) -> None:
    status, body = await client.ask("GET", "/api/status/nobody")

    assert status == 404
    assert body == {
        "error": "NOT_FOUND",
        "message": "There is no task nobody.",
        "status_code": 404,
        "details": {"task_id": "nobody"},
        "detail": "There is no task nobody.",
    }


async def test_a_task_of_another_origin_has_a_status_there(client: Client) -> None:
    task_id = await client.submit("external")
    await client.report(task_id, percent=30)

    body = await client.get(f"/api/status/{task_id}")

    assert (body["job_id"], body["status"], body["progress"]) == (task_id, "processing", 30)


async def test_a_video_that_came_through_another_dialect_is_shown_as_a_generation(tmp_path: Path) -> None:
    later = {"type": "video", "payload": {"topic": "Tea"}, "process_at": "2999-01-01T00:00:00Z"}
    async with studio(tmp_path) as here:
        created = await here.client.post("/api/v1/tasks", later, 201)

        by_name = await here.client.get("/api/status/Tea")
        by_id = await here.client.get(f"/api/status/{created['task_id']}")

    assert list(by_name) == ["status", "progress", "message", "timestamp"]
    assert by_name["status"] == "waiting"
    assert by_id == by_name
