"""Progress in the taskbar or the tab of terminals that show it there (OSC 9;4, ConEmu's invention).

Others take the same sequence for a notification, so only those that are known get it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from progresshub.cli.standing import Standing

PROGRAMS = frozenset({"ghostty", "WezTerm", "mintty", "rio"})
VARIABLES = ("WT_SESSION", "ConEmuPID", "KONSOLE_VERSION")
VTE_SINCE = 7_900
NOTHING, PERCENT, FAILED, UNKNOWN = range(4)


def understood(environment: Mapping[str, str]) -> bool:
    vte = environment.get("VTE_VERSION", "")
    return (
        environment.get("TERM_PROGRAM", "") in PROGRAMS
        or any(environment.get(name) for name in VARIABLES)
        or (vte.isdigit() and int(vte) >= VTE_SINCE)
    )


class Taskbar:
    def __init__(self, file: TextIO, environment: Mapping[str, str]) -> None:
        self._file = file
        self._understood = understood(environment)
        self._shown = (NOTHING, 0)

    def show(self, standing: Standing) -> None:
        percent = standing.percent()
        if standing.failed:
            self._say(FAILED, int(percent or 100))
        elif percent is None:
            self._say(UNKNOWN, 0)
        else:
            self._say(PERCENT, int(percent))

    def clear(self) -> None:
        self._say(NOTHING, 0)

    def _say(self, state: int, percent: int) -> None:
        if self._understood and self._shown != (state, percent):
            self._shown = (state, percent)
            self._file.write(f"\x1b]9;4;{state};{percent}\x07")
            self._file.flush()
