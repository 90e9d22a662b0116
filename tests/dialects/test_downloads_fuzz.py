"""Whatever is asked of the downloads dialect, the answer is an answer: in JSON, and never a mistake of ours."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from progresshub.dialects.crossroads import CROSSROADS
from progresshub.dialects.downloads import DOWNLOADS
from tests.serving import Client, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}
ASKING_SITES = {"/api/info", "/api/subtitles"}
ROUTES = [route for route in (*DOWNLOADS.routes, *CROSSROADS.routes) if route.path not in ASKING_SITES]
PATIENT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

texts = st.text(max_size=40)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
names = st.sampled_from(["limit", "status", "minutes", "points", "url", "lang", "format"]) | texts
values = st.sampled_from(["0", "1", "50", "500", "-1", "1e3", "completed", "processing", "nan"]) | texts
addressed = texts.filter(lambda text: text not in ("", ".", ".."))
ids = addressed | st.uuids().map(str) | st.sampled_from(["...", "%00", "tasks", "stats", "{task_id}"])
bodies = st.fixed_dictionaries(
    {},
    optional={
        "url": st.sampled_from(["http://127.0.0.1:9/x", "http://[::1", "https://", "javascript:1"]) | anything,
        "format": st.sampled_from(["mp4", "mp3", "best"]) | anything,
        "quality": st.sampled_from(["best", "720p"]) | anything,
        "format_id": anything,
        "mp3_title": anything,
        "embed_thumbnail": anything,
    },
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with serving(tmp_path_factory.mktemp("fuzz"), "queues.default.paused=true") as client:
        await client.submit("external")
        yield client


def check(status: int, body: Any) -> None:
    assert status < 500, body
    if status >= 400 and isinstance(body, dict):
        assert {"error", "message", "status_code", "details"} <= body.keys()
        assert body["status_code"] == status


@PATIENT
@given(
    route=st.sampled_from(ROUTES),
    task_id=ids,
    query=st.dictionaries(names, values, max_size=4),
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
)
async def test_any_question_gets_an_answer(
    server: Client, route: Any, task_id: str, query: dict[str, str], method: str
) -> None:
    path = re.sub(r"\{\w+(:.*)?\}", lambda found: quote(task_id, safe=""), route.path)

    check(*await server.ask(method, path, params=query))


@PATIENT
@given(body=bodies | anything)
async def test_any_submission_is_taken_or_refused(server: Client, body: Any) -> None:
    status, answer = await server.ask("POST", "/api/download", data=json.dumps(body), headers=JSON)

    check(status, answer)
    if status == 200:
        assert answer["status"] == "pending"
        assert answer["queue_position"] >= 1


@PATIENT
@given(data=st.binary(max_size=200), content_type=st.sampled_from(["application/json", "text/plain", "x", ""]))
async def test_any_body_is_read_or_refused(server: Client, data: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    check(*await server.ask("POST", "/api/download", data=data, headers=headers))
