"""A task's directory that is taken away beside the loop is never taken from under the next attempt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from progresshub.processes import directory
from progresshub.processes.directory import Removals
from progresshub.processes.runner import Runner
from tests.processes.conftest import MakeWork
from tests.processes.kit import PATIENCE_S, sh


class SlowDisk:
    """Takes nothing away until it is told to."""

    def __init__(self, remove: Callable[[Path], None]) -> None:
        self._remove = remove
        self._goes_on = threading.Event()

    def __call__(self, path: Path) -> None:
        assert self._goes_on.wait(PATIENCE_S)
        self._remove(path)

    def go_on(self) -> None:
        self._goes_on.set()


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    disk = SlowDisk(directory.remove_if_empty)
    monkeypatch.setattr(directory, "remove_if_empty", disk)
    return disk


async def test_an_attempt_waits_for_the_removal_of_what_the_last_one_left(
    runner: Runner, work: MakeWork, slow_disk: SlowDisk
) -> None:
    first, second = work(task_id="same"), work(task_id="same", attempt=2)
    await first.run(runner, sh("true"))
    assert first.directory.is_dir()

    threading.Timer(0.05, slow_disk.go_on).start()
    outcome = await second.run(runner, sh('cd "$PWD" && touch here'))

    assert outcome.status == "done"
    assert (second.directory / "here").exists()


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.iterdir())


async def test_an_empty_directory_is_gone_when_the_removals_are_closed(tmp_path: Path) -> None:
    removals = Removals()
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    (full / "file").mkdir(parents=True)

    for path in (empty, full, tmp_path / "nowhere"):
        removals.begin(path)
    await removals.close()

    assert (names(tmp_path), names(full)) == (["full"], ["file"])
