"""The server's hold on its watchdog: while the pipe between them is open, the server lives.

A watchdog that dies is replaced, a few times.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from progresshub.processes import program
from progresshub.processes.family import Family

MOST_STARTS = 5

logger = logging.getLogger(__name__)


class Guard:
    """One watchdog at a time, from now on until `close`."""

    def __init__(self, mark: str, variables: Mapping[str, str], family: Family) -> None:
        self._mark = mark
        self._variables = variables
        self._family = family
        self._starts = 0
        # Not inheritable, so that no child keeps the watchdog from seeing the server's end.
        self._theirs, self._ours = os.pipe()
        self._start()

    def close(self) -> None:
        """Let it go: it looks for what was left behind, and ends."""
        self._child.on_exit = lambda: None
        os.close(self._theirs)
        os.close(self._ours)

    def _start(self) -> None:
        self._starts += 1
        argv = program.python("watchdog", str(self._theirs), self._mark, site=False)
        self._child = self._family.adopt(
            program.popen(argv, "/", self._variables, output=2, passed=(self._theirs,)),
        )
        self._child.on_exit = self._ended

    def _ended(self) -> None:
        self._family.dismiss(self._child)
        if self._starts < MOST_STARTS:
            logger.warning("The watchdog died; starting another one")
            self._start()
        else:
            logger.error("The watchdog keeps dying; children may outlive a crash of the server")
