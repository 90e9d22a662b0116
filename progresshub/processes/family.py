"""Every process below this one: the children it started, and the strangers they leave behind.

A task is over only when nothing of its tree lives. This process is a subreaper, so an orphan comes
back to it as a child that it never started, and is known by its session or by the job's name in
its environment.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from progresshub.processes import proc
from progresshub.processes.child import LOOKED_AFTER, Child
from progresshub.processes.job import STEP, TASK_ID, name_of

ROUNDS = 100
EXEC_S = 0.005
"""Who shows no environment may be in the middle of an exec, and is looked at again so much later."""
PATIENCE_S = 10.0
"""How long a killed process is waited for: only one that sleeps inside the kernel takes longer."""

logger = logging.getLogger(__name__)


class Family:
    """The children by their numbers.

    `mark` is what all of them carry in their environment as PROGRESSHUB_SERVER; `settle` learns of
    children that others forked for this process.
    """

    def __init__(self, mark: str, settle: Callable[[], None]) -> None:
        self._mark = mark.encode()
        self._settle = settle
        self._dead: set[int] = set()
        self._bare_since_s: dict[tuple[int, int], float] = {}
        self._children: dict[int, Child] = {}
        self._clearing: dict[Child, asyncio.Task[None]] = {}

    def adopt(self, pid: int, job: str = "") -> Child:
        """Take a child in, just after its start; where that can't be done, it is ended."""
        try:
            child = self._children[pid] = Child(pid, job)
        except OSError:  # no descriptor left, most likely
            _end_at_once(pid)
            raise
        return child

    def dismiss(self, child: Child) -> None:
        """Let its number go as soon as it ends; it has nobody below it."""
        child.on_exit = lambda: self._release(child)
        if child.exit_code is not None:
            self._release(child)

    async def clear(self, child: Child) -> None:
        """End what lives of a child's tree, the child as well, and let its number go.

        Goes on to the end even when whoever waits for it is cancelled.
        """
        clearing = self._clearing.get(child)
        if clearing is None:
            if child.exit_code is not None and self._kill_tree(child) == ([], False):
                self._release(child)
                return
            clearing = self._clearing[child] = asyncio.create_task(self._clear(child))
            clearing.add_done_callback(lambda _: self._clearing.pop(child))
        await asyncio.shield(clearing)

    async def close(self) -> None:
        """End every child that is left; call it when no job runs any more."""
        if self._clearing:
            await asyncio.wait(self._clearing.values())
        for child in list(self._children.values()):
            await self.clear(child)
        self.tidy()

    def tidy(self) -> None:
        """Reap the strangers that ended on their own, unless somebody else does it until the next time."""
        dead = {one.pid for one in self._strangers() if one.dead}
        for pid in dead & self._dead:
            _reap(pid)
        self._dead = dead

    async def _clear(self, child: Child) -> None:
        child.send_signal(signal.SIGKILL)
        if not await _ended([child]):
            logger.warning("Process %d does not end although it was killed", child.pid)
            self.dismiss(child)
            return
        for _ in range(ROUNDS):
            found, unsure = self._kill_tree(child)
            if not await self._reaped(found) or not (found or unsure):
                break
            if unsure:
                await asyncio.sleep(EXEC_S)
        self._release(child)

    def _kill_tree(self, child: Child) -> tuple[list[proc.Stat], bool]:
        """Kill the child's process group and the strangers that are its.

        These are returned, and whether there are others of whom that is not sure yet.
        """
        child.send_signal(signal.SIGKILL)
        living = [(one, proc.environment(one.pid)) for one in self._strangers() if not one.dead]
        unsure = self._look_at_bare({(one.pid, one.started) for one, variables in living if not variables})
        found = [one for one, variables in living if self._belongs(one, variables, child)]
        for one in found:
            proc.kill(one)
        return found, unsure

    def _look_at_bare(self, bare: set[tuple[int, int]]) -> bool:
        """Whether one of these was not seen before as it is, without an environment."""
        now_s = time.monotonic()
        self._bare_since_s = {key: self._bare_since_s.get(key, now_s) for key in bare}
        return any(now_s - since_s < EXEC_S for since_s in self._bare_since_s.values())

    def _strangers(self) -> list[proc.Stat]:
        """The children that nobody looks after, dead or alive."""
        listed = proc.children()
        # In this order: who is listed and was forked for us has been announced before.
        self._settle()
        unknown = [stat for pid in listed if pid not in LOOKED_AFTER and (stat := proc.stat(pid))]
        if not unknown:
            return []
        # What others start in this process stays in its session; what is started here never does.
        own_session = os.getsid(0)
        return [stat for stat in unknown if stat.session != own_session]

    def _belongs(self, stranger: proc.Stat, variables: Mapping[bytes, bytes], child: Child) -> bool:
        if stranger.session == child.pid:
            return True
        if stranger.session in LOOKED_AFTER or variables.get(b"PROGRESSHUB_SERVER", self._mark) != self._mark:
            return False
        others = [one for one in self._children.values() if one.job and one is not child]
        task_id, step = (variables.get(name.encode(), b"").decode(errors="replace") for name in (TASK_ID, STEP))
        if job := name_of(task_id, step):
            return job not in {one.job for one in others}
        # It hides where it comes from: it is ended with the last task that may have started it.
        return not any(one.started <= stranger.started for one in others)

    async def _reaped(self, strangers: Iterable[proc.Stat]) -> bool:
        adopted = []
        for one in strangers:
            try:
                adopted.append(self.adopt(one.pid))
            except OSError:
                continue
        ended = await _ended(adopted)
        for child in adopted:
            if child.exit_code is not None:
                self._release(child)
        return ended

    def _release(self, child: Child) -> None:
        if self._children.get(child.pid) is child:
            del self._children[child.pid]
        child.reap()


async def _ended(children: Iterable[Child]) -> bool:
    """Wait for the end of children that were killed; False when one takes too long."""
    waiting = []
    for child in children:
        if child.exit_code is None:
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            child.on_exit = partial(ended.set_result, None)
            waiting.append(ended)
    if not waiting:
        return True
    _, late = await asyncio.wait(waiting, timeout=PATIENCE_S)
    return not late


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # somebody else did


def _end_at_once(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # gone already, or a worker that its parent has not handed over yet
