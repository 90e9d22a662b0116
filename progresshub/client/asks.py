"""What may be asked of a server, each as a value: method, path, what goes along and the type of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from progresshub.client.answers import Created, FileList, Health, Page, Progress, Queue, Said, Session, Task

T = TypeVar("T")

TASKS = "/api/v1/tasks"
EVENTS = "/api/v1/events/stream"
QUEUES = "/api/v1/queues"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Generic[T]):
    """`body` is sent as JSON, or as text where it is one. Answers of the statuses in `fine` are read, too."""

    method: str = "GET"
    path: str
    answer: type[T]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    fine: tuple[int, ...] = ()


def submission(kind: str, payload: Mapping[str, Any], idempotency_key: str = "", **options: Any) -> Ask[Created]:
    given = {name: value for name, value in options.items() if value is not None}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    body = {"type": kind, "payload": payload, **given}
    return Ask(method="POST", path=TASKS, answer=Created, body=body, headers=headers)


def look(task_id: str) -> Ask[Task]:
    return Ask(path=of(task_id), answer=Task)


def page(limit: int, cursor: str = "", **wanted: str | None) -> Ask[Page]:
    query = {name: value for name, value in wanted.items() if value} | ({"cursor": cursor} if cursor else {})
    return Ask(path=TASKS, answer=Page, query={"limit": str(limit), **query})


def beginning(prefix: str, limit: int) -> Ask[Page]:
    return Ask(path=TASKS, answer=Page, query={"id_prefix": prefix, "limit": str(limit)})


def cancellation(task_id: str) -> Ask[Said]:
    return Ask(method="POST", path=of(task_id, "/cancel"), answer=Said)


def repetition(task_id: str) -> Ask[Created]:
    return Ask(method="POST", path=of(task_id, "/retry"), answer=Created)


def deletion(task_id: str) -> Ask[Said]:
    return Ask(method="DELETE", path=of(task_id), answer=Said)


def saying(task_id: str, said: str | Mapping[str, Any]) -> Ask[Progress]:
    return Ask(method="POST", path=of(task_id, "/progress"), answer=Progress, body=said)


def printed(task_id: str, query: Mapping[str, str]) -> Ask[bytes]:
    return Ask(path=of(task_id, "/logs"), answer=bytes, query=query)


def file_list(task_id: str) -> Ask[FileList]:
    return Ask(path=of(task_id, "/files"), answer=FileList)


def content(task_id: str, name: str) -> Ask[bytes]:
    return Ask(path=of(task_id, f"/files/{quote(name)}"), answer=bytes)


def queue_list() -> Ask[list[Queue]]:
    return Ask(path=f"{QUEUES}/stats", answer=list[Queue])


def queue_change(name: str, **changes: Any) -> Ask[Queue]:
    body = {setting: value for setting, value in changes.items() if value is not None}
    return Ask(method="PATCH", path=f"{QUEUES}/{quote(name, safe='')}", answer=Queue, body=body)


def checkup() -> Ask[Health]:
    return Ask(path="/health", answer=Health, fine=(503,))


def session() -> Ask[Session]:
    return Ask(path="/-/session", answer=Session)


def event_stream(task_ids: Sequence[str], last_id: str) -> Ask[bytes]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    return Ask(path=EVENTS, answer=bytes, query={"id": ",".join(task_ids)} if task_ids else {}, headers=headers)


def of(task_id: str, more: str = "") -> str:
    return f"{TASKS}/{quote(task_id, safe='')}{more}"
