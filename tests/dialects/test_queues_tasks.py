"""Tasks over the queues dialect: what is taken, what is refused and in which order, and how tasks are found again."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from progresshub.scheduling import upkeep
from tests.serving import Client, serving

EXAMPLE = {
    "type": "demo",
    "payload": {"message": "Hello", "count": 5},
    "queue": "default",
    "max_retries": 3,
    "timeout": "30s",
    "process_at": "2024-01-15T10:00:00Z",
    "unique": "1h",
    "metadata": {"user_id": "123"},
}
FUTURE = "2999-01-15T10:00:00Z"


async def refused(client: Client, status: int, code: str, body: Any, path: str = "/api/v1/tasks") -> Any:
    got, answer = await client.ask("POST", path, json=body)
    assert (got, answer["code"]) == (status, code), answer
    assert set(answer) == {"error", "code", "details"}
    assert isinstance(answer["error"], str)
    return answer


def external(**more: Any) -> dict[str, Any]:
    return {"type": "external", "payload": {}, **more}


async def test_the_example_of_the_document_is_taken_as_it_stands(client: Client) -> None:
    created = await client.post("/api/v1/tasks", EXAMPLE, 201)

    assert created == {"task_id": str(UUID(created["task_id"])), "queue": "default", "status": "pending"}
    task = await client.task(created["task_id"])
    assert {name: task[name] for name in ("type", "queue", "max_retry", "retried", "last_err", "timeout")} == {
        "type": "demo",
        "queue": "default",
        "max_retry": 3,
        "retried": 0,
        "last_err": "",
        "timeout": "30s",
    }
    assert task["payload"] == {"message": "Hello", "count": 5, "delay_ms": 500}
    assert task["metadata"] == {"user_id": "123"}


async def test_what_is_left_out_has_its_default(client: Client) -> None:
    task = await client.task(await client.submit("demo", process_at=FUTURE))

    assert (task["queue"], task["max_retry"], task["timeout"]) == ("default", 3, "30m0s")


async def test_a_task_of_the_future_is_scheduled_and_says_when_it_is_due(client: Client) -> None:
    created = await client.post("/api/v1/tasks", external(process_at="2999-01-15T12:00:00+02:00"), 201)

    assert created["status"] == "scheduled"
    task = await client.task(created["task_id"])
    assert (task["state"], task["next_process_at"]) == ("scheduled", FUTURE)


async def test_a_time_in_the_past_means_now(client: Client) -> None:
    created = await client.post("/api/v1/tasks", external(process_at="2024-01-15T10:00:00Z"), 201)

    assert created["status"] == "pending"
    task = await client.task(created["task_id"])
    assert task["state"] == "active"
    assert "next_process_at" not in task


async def test_a_scheduled_task_starts_when_its_time_has_come(client: Client) -> None:
    health = await client.get("/health")
    moment = health["timestamp"]

    task_id = await client.submit("demo", {"count": 0}, process_at=moment)

    assert (await client.ended(task_id))["state"] == "completed"


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "demo",
        None,
        {"type": "demo"},
        {"payload": {}},
        {"type": 5, "payload": {}},
        {"type": "demo", "payload": None},
        {"type": "demo", "payload": []},
        {"type": "demo", "payload": "x"},
        external(max_retries=-1),
        external(max_retries=1.5),
        external(max_retries="3"),
        external(priority=10),
        external(priority=-1),
        external(metadata=[]),
        external(queue=5),
        external(queue="no spaces"),
        external(queue="../x"),
        external(timeout=30),
    ],
)
async def test_a_body_that_is_no_task_is_an_invalid_request(client: Client, body: Any) -> None:
    await refused(client, 400, "INVALID_REQUEST", body)


async def test_what_is_sent_empty_is_left_out(client: Client) -> None:
    task = await client.task(await client.submit("external", queue="", timeout="", process_at="", unique="", title=""))

    assert (task["queue"], task["state"]) == ("default", "active")


@pytest.mark.parametrize("text", ["30", "0", " ", "soon", "1 h", "5d", "-5s", "0s", "h", "1h-30m", "99999999h", "٣s"])
async def test_a_duration_that_is_none_is_named(client: Client, text: str) -> None:
    await refused(client, 400, "INVALID_TIMEOUT", external(timeout=text))
    await refused(client, 400, "INVALID_UNIQUE", external(unique=text))


@pytest.mark.parametrize(
    ("text", "shown"), [("300ms", "300ms"), ("30s", "30s"), ("1h30m", "1h30m0s"), ("1.5h", "1h30m0s"), ("90s", "1m30s")]
)
async def test_a_duration_of_go_is_understood(client: Client, text: str, shown: str) -> None:
    task = await client.task(await client.submit("external", timeout=text, unique=text))

    assert task["timeout"] == shown


@pytest.mark.parametrize(
    "text",
    ["tomorrow", "2024-01-15", "2024-01-15T10:00:00", "2024-13-15T10:00:00Z", "1705312800", " ", "2024-01-15 10Z"],
)
async def test_a_time_that_is_none_is_named(client: Client, text: str) -> None:
    await refused(client, 400, "INVALID_PROCESS_AT", external(process_at=text))


async def test_an_unknown_type_is_named(client: Client) -> None:
    answer = await refused(client, 400, "INVALID_TASK_TYPE", {"type": "nothing", "payload": {}})

    assert answer["details"] == {"kind": "nothing"}


@pytest.mark.parametrize(
    "payload", [{"count": -1}, {"count": 10_001}, {"count": "5"}, {"message": 5}, {"message": "m", "colour": 1}]
)
async def test_a_payload_that_does_not_fit_its_type_is_named(client: Client, payload: Any) -> None:
    await refused(client, 400, "INVALID_PAYLOAD", {"type": "demo", "payload": payload})


async def test_mistakes_are_told_in_a_fixed_order(client: Client) -> None:
    wrong: dict[str, Any] = {
        "type": "demo",
        "payload": {"count": -1},
        "timeout": "x",
        "process_at": "x",
        "unique": "x",
    }

    codes = []
    repairs: list[dict[str, Any]] = [
        {"max_retries": -1, "queue": "default"},
        {"max_retries": 1, "queue": "a b"},
        {"queue": "default", "type": "nothing"},
        {"timeout": "1s"},
        {"process_at": FUTURE},
        {"unique": "1s"},
        {"type": "demo"},
        {"payload": {}},
    ]
    for repair in repairs:
        wrong.update(repair)
        status, answer = await client.ask("POST", "/api/v1/tasks", json=wrong)
        codes.append(answer.get("code", status))

    assert codes == [
        "INVALID_REQUEST",
        "INVALID_REQUEST",
        "INVALID_TIMEOUT",
        "INVALID_PROCESS_AT",
        "INVALID_UNIQUE",
        "INVALID_TASK_TYPE",
        "INVALID_PAYLOAD",
        201,
    ]


async def test_no_retries_may_be_asked_for(client: Client) -> None:
    task = await client.task(await client.submit("demo", process_at=FUTURE, max_retries=0))

    assert task["max_retry"] == 0


async def test_the_same_work_is_taken_once_until_it_has_ended(client: Client) -> None:
    first = await client.submit("external", {"title": "a", "total": 3}, unique="1h")

    duplicate = external(payload={"total": 3, "title": "a"}, unique="5s")
    answer = await refused(client, 409, "TASK_ALREADY_EXISTS", duplicate)
    await client.submit("external", {"title": "b", "total": 3}, unique="1h")
    await client.submit("external", {"title": "a", "total": 3}, unique="1h", queue="other")
    await client.submit("external", {"title": "a", "total": 3})
    await client.report(first, status="done")
    again = await client.submit("external", {"title": "a", "total": 3}, unique="1h")

    assert answer["details"]["task_id"] == first
    assert again != first


async def test_of_many_at_once_with_the_same_work_one_is_taken(client: Client) -> None:
    answers = await asyncio.gather(
        *(client.ask("POST", "/api/v1/tasks", json=external(unique="1h")) for _ in range(20))
    )

    assert Counter(status for status, _ in answers) == {201: 1, 409: 19}
    (holder,) = [body["task_id"] for status, body in answers if status == 201]
    assert {body["details"]["task_id"] for status, body in answers if status == 409} == {holder}


async def test_a_request_told_twice_under_one_key_is_done_once(client: Client) -> None:
    key = {"Idempotency-Key": "abc"}

    first, again = [await client.post("/api/v1/tasks", external(title="a"), 201, headers=key) for _ in range(2)]
    status, other = await client.ask("POST", "/api/v1/tasks", json=external(title="b"), headers=key)
    batch, _ = await client.ask("POST", "/api/v1/tasks/batch", json={"tasks": []}, headers=key)

    assert first == again
    assert (status, other["code"], batch) == (409, "IDEMPOTENCY_MISMATCH", 409)
    assert len((await client.get("/api/v1/tasks"))["tasks"]) == 1


async def test_a_key_holds_for_requests_that_come_together(client: Client) -> None:
    key = {"Idempotency-Key": "abc"}

    answers = await asyncio.gather(
        *(client.post("/api/v1/tasks", external(), 201, headers=key) for _ in range(20)),
    )

    assert len({answer["task_id"] for answer in answers}) == 1
    assert len((await client.get("/api/v1/tasks"))["tasks"]) == 1


async def test_a_key_outlives_the_server(tmp_path: Path) -> None:
    key = {"Idempotency-Key": "abc"}
    async with serving(tmp_path) as client:
        first = await client.post("/api/v1/tasks", external(), 201, headers=key)

    async with serving(tmp_path) as client:
        again = await client.post("/api/v1/tasks", external(), 201, headers=key)

    assert first == again


@pytest.mark.parametrize("key", ["", "x" * 256, "\t"])
async def test_a_key_that_is_none_is_refused(client: Client, key: str) -> None:
    status, answer = await client.ask("POST", "/api/v1/tasks", json=external(), headers={"Idempotency-Key": key})

    assert (status, answer["code"]) == (400, "INVALID_REQUEST")


async def test_a_batch_is_taken_in_its_order(client: Client) -> None:
    batch = {"tasks": [external(title=str(n), queue="q") for n in range(50)]}

    created = await client.post("/api/v1/tasks/batch", batch, 201)

    assert {(task["queue"], task["status"]) for task in created["tasks"]} == {("q", "pending")}
    listed = await client.get("/api/v1/tasks", limit=50)
    assert [task["id"] for task in reversed(listed["tasks"])] == [task["task_id"] for task in created["tasks"]]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ({"type": "nothing", "payload": {}}, "INVALID_TASK_TYPE"),
        ({"type": "demo", "payload": {"count": -1}}, "INVALID_PAYLOAD"),
        ({"type": "demo"}, "INVALID_REQUEST"),
        (external(queue="a b"), "INVALID_REQUEST"),
        (external(timeout="x"), "INVALID_TIMEOUT"),
    ],
)
async def test_a_batch_with_one_mistake_is_refused_whole(client: Client, bad: Any, code: str) -> None:
    await refused(client, 400, code, {"tasks": [external(), bad]}, "/api/v1/tasks/batch")

    assert (await client.get("/api/v1/tasks"))["tasks"] == []


async def test_a_batch_with_the_same_work_twice_is_refused_whole(client: Client) -> None:
    twice = {"tasks": [external(unique="1h"), external(unique="1h")]}

    await refused(client, 409, "TASK_ALREADY_EXISTS", twice, "/api/v1/tasks/batch")

    assert (await client.get("/api/v1/tasks"))["tasks"] == []
    await client.submit("external", unique="1h")


async def test_a_batch_over_the_limit_is_too_large(tmp_path: Path) -> None:
    async with serving(tmp_path, "limits.batch=3") as client:
        await client.post("/api/v1/tasks/batch", {"tasks": [external()] * 3}, 201)

        answer = await refused(client, 413, "PAYLOAD_TOO_LARGE", {"tasks": [external()] * 4}, "/api/v1/tasks/batch")

        assert "3" in answer["error"]
        assert len((await client.get("/api/v1/tasks"))["tasks"]) == 3


async def test_a_task_is_found_in_its_queue_and_in_any(client: Client) -> None:
    task_id = await client.submit("external", queue="low")

    in_any = await client.get(f"/api/v1/tasks/{task_id}")
    in_its_own = await client.get(f"/api/v1/tasks/{task_id}", queue="low")
    status, answer = await client.ask("GET", f"/api/v1/tasks/{task_id}?queue=default")

    assert in_any == in_its_own
    assert (status, answer["code"]) == (404, "TASK_NOT_FOUND")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "task_id", ["f47ac10b-58cc-4372-a567-0e02b2c3d479", "xxx", "%00", "%ff%fe", "..%2f..%2fetc", "🐛", "a" * 3000]
)
async def test_an_unknown_task_is_not_found_whatever_it_is_called(client: Client, method: str, task_id: str) -> None:
    status, answer = await client.ask(method, f"/api/v1/tasks/{task_id}")

    assert (status, answer["code"]) == (404, "TASK_NOT_FOUND")


async def test_a_list_is_newest_first_and_goes_on_by_its_cursor(client: Client) -> None:
    ids = [await client.submit("external") for _ in range(7)]

    listed, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = await client.get("/api/v1/tasks", limit=3, cursor=cursor)
        listed += [task["id"] for task in page["tasks"]]
        cursor, pages = page["next_cursor"], pages + 1

    assert (listed, pages) == (ids[::-1], 3)


async def test_what_is_submitted_meanwhile_does_not_disturb_a_list(client: Client) -> None:
    ids = [await client.submit("external") for _ in range(4)]

    first = await client.get("/api/v1/tasks", limit=2)
    await client.submit("external")
    second = await client.get("/api/v1/tasks", limit=2, cursor=first["next_cursor"])

    assert [task["id"] for task in (*first["tasks"], *second["tasks"])] == ids[::-1]


@pytest.fixture(autouse=True)
def indexed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "ROUND_S", 0.01)


@pytest.fixture
async def zoo(client: Client) -> dict[str, str]:
    """A task in every state this dialect knows, by the name of the state."""
    ids = {
        "active": await client.submit("external", {"title": "Lions at noon"}),
        "scheduled": await client.submit("demo", {"message": "Tigers"}, process_at=FUTURE, queue="low"),
        "completed": await client.submit("external", {"title": "Lion cubs"}),
        "failed": await client.submit("external", queue="low"),
        "cancelled": await client.submit("external", metadata={"who": "Tigris"}),
    }
    await client.report(ids["completed"], status="done")
    await client.report(ids["failed"], status="failed", error="escaped")
    await client.post(f"/api/v1/tasks/{ids['cancelled']}/cancel")
    return ids


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "active"}, ["active"]),
        ({"state": "running"}, ["active"]),
        ({"state": "archived"}, ["failed", "cancelled"]),
        ({"state": "failed"}, ["failed"]),
        ({"state": "cancelled"}, ["cancelled"]),
        ({"state": "retry"}, []),
        ({"queue": "low"}, ["scheduled", "failed"]),
        ({"queue": "nowhere"}, []),
        ({"type": "demo"}, ["scheduled"]),
        ({"type": "nothing"}, []),
        ({"queue": "low", "state": "archived", "type": "external"}, ["failed"]),
    ],
)
async def test_a_list_can_be_narrowed(client: Client, zoo: dict[str, str], query: Any, found: list[str]) -> None:
    listed = await client.get("/api/v1/tasks", **query)

    assert [task["id"] for task in listed["tasks"]] == [zoo[name] for name in reversed(found)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("lion", ["active", "completed"]),
        ("LION cub", ["completed"]),
        ("tig", ["scheduled", "cancelled"]),
        ("nobody", []),
        ('"', []),
        ("lion* OR (", []),
    ],
)
async def test_a_list_can_be_searched(
    tmp_path: Path, client: Client, zoo: dict[str, str], words: str, found: list[str]
) -> None:
    async with asyncio.timeout(10):
        while not (await client.get("/api/v1/tasks", q="tigris"))["tasks"]:
            continue  # the search index is made behind

    listed = await client.get("/api/v1/tasks", q=words)

    assert [task["id"] for task in listed["tasks"]] == [zoo[name] for name in reversed(found)]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "many"},
        {"limit": ""},
        {"cursor": "x"},
        {"cursor": "-1"},
        {"cursor": "9" * 19},
        {"cursor": "٣"},
        {"state": "happy"},
        {"id_prefix": "-"},
        {"id_prefix": "xyz"},
        {"id_prefix": "a" * 37},
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(client: Client, query: dict[str, str]) -> None:
    status, answer = await client.ask("GET", "/api/v1/tasks", params=query)

    assert (status, answer["code"]) == (400, "INVALID_REQUEST")


async def test_tasks_are_found_by_how_their_ids_begin(client: Client, zoo: dict[str, str]) -> None:
    wanted = zoo["active"]
    unlike = "0" if wanted[0] != "0" else "1"

    for beginning in (wanted, wanted[:13].upper(), wanted.replace("-", "")[:12]):
        listed = await client.get("/api/v1/tasks", id_prefix=beginning)
        assert [task["id"] for task in listed["tasks"]] == [wanted]
    alike = await client.get("/api/v1/tasks", id_prefix=wanted[0])
    assert {task["id"] for task in alike["tasks"]} == {one for one in zoo.values() if one[0] == wanted[0]}
    assert (await client.get("/api/v1/tasks", id_prefix=unlike + wanted[1:]))["tasks"] == []


async def test_secrets_of_a_payload_are_not_shown(client: Client) -> None:
    task_id = await client.submit(
        "external", {"title": "https://me:pw@example.org/?token=abc"}, metadata={"password": "p"}
    )

    task = await client.task(task_id)

    assert task["title"] == task["payload"]["title"] == "https://[hidden]@example.org/?token=[hidden]"
    assert task["metadata"] == {"password": "[hidden]"}
