"""Whatever is asked of the generations dialect, the answer is an answer, and every topic is found again."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from progresshub.dialects.generations import GENERATIONS
from progresshub.jobs import topics
from progresshub.settings import Generations
from tests.dialects.studio import ASYNC, Studio, said, studio

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
SHORT = Generations(heartbeat_s=0.1, wait_s=0.1, rerun_wait_s=0.0)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
addressed = texts.filter(lambda text: text not in ("", ".", "..")) | st.uuids().map(str)
bodies = st.fixed_dictionaries(
    {"topic": texts | anything},
    optional={"num_slides": anything, "language": anything, "theme": anything, "images": anything, "other": anything},
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    async with studio(tmp_path_factory.mktemp("fuzz"), SHORT) as made:
        yield made


def check(status: int, body: Any) -> None:
    assert status < 500, body
    if status >= 400:
        assert list(body) == ["detail"]


@PATIENT
@given(route=st.sampled_from([route for route in GENERATIONS.routes if "progress" not in route.path]), name=addressed)
async def test_any_question_gets_an_answer(here: Studio, route: Any, name: str) -> None:
    path = re.sub(r"\{\w+:.*\}", lambda found: quote(name, safe=""), route.path)

    check(*await here.client.ask("GET", path))


@PATIENT
@given(body=bodies | anything)
async def test_any_request_is_taken_or_refused(here: Studio, body: Any) -> None:
    headers = {**ASYNC, "Content-Type": "application/json"}

    check(*await here.client.ask("POST", "/api/generate", data=json.dumps(body), headers=headers))


@PATIENT
@given(topic=texts.filter(str.strip))
@example("tasks")
@example("stream")
@example("a/b\\c: 100% {d}?#;+&=é\n\t\0")
@example("😀" * 20)
async def test_every_topic_is_found_by_each_of_its_names(here: Studio, topic: str) -> None:
    begun = await here.client.post("/api/generate", {"topic": topic}, 202, headers=ASYNC)

    assert begun["generation_id"] == topics.generation_id(topic)
    assert (await here.client.get(begun["status_url"]))["status"] == "started"
    for name in set(topics.names(topic)) - {"stats", "bandwidth", "tasks", ".", ".."}:
        async with here.client.stream(f"/api/progress/{quote(name, safe='')}") as stream:
            heard = [await said(stream), await said(stream)]
        assert [one and one[0] for one in heard] == ["connected", "started"]
