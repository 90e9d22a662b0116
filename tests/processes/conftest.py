"""Runners with real processes, ended with the test; and a module such as users write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from progresshub.processes.runner import Runner, RunnerSettings, Setup, WarmSettings
from tests.processes.kit import Work

SOMEBODYS = Path(__file__).with_name("somebodys.py")

MakeRunner = Callable[..., Any]
MakeWork = Callable[..., Work]


@pytest.fixture
def work(tmp_path: Path) -> MakeWork:
    """Makes a piece of work for the runner."""
    return lambda **given: Work(tmp_path, **given)


@pytest.fixture
async def make_runner() -> AsyncIterator[MakeRunner]:
    """Starts a runner with the settings given, by their names in either section."""
    async with AsyncExitStack() as stack:

        async def make(*, setup: Setup | None = None, **given: Any) -> Runner:
            warm = {name: given.pop(name) for name in list(given) if name in WarmSettings.__struct_fields__}
            setup = setup or Setup(modules=("somebodys",), path=(str(SOMEBODYS.parent),))
            runner = Runner(
                RunnerSettings(**given), WarmSettings(**warm), url="http://127.0.0.1:1", pools={"python": setup}
            )
            await runner.start()
            stack.push_async_callback(runner.close)
            return runner

        yield make


@pytest.fixture
async def runner(make_runner: MakeRunner) -> Runner:
    made: Runner = await make_runner()
    return made


@pytest.fixture
def open_descriptors() -> Callable[[], int]:
    return lambda: len(list(Path("/proc/self/fd").iterdir()))
