"""Which yt-dlp downloads use, how old it is, and how a newer one is had without a new server.

Sites break old versions within weeks. Updates lie in the data directory, each in a directory of its own, and
the newest of all is used, be it one of them or the installed one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from progresshub.errors import HubError

log = logging.getLogger(__name__)

DIRECTORY = "yt-dlp"
OLD_DAYS = 60
LOOK_EVERY_S = 30.0
UPDATE_S = 600.0
KEPT = 2
"""Versions that are kept."""

_VERSION = re.compile(r"^__version__ = ['\"]([\d.]+)['\"]", re.MULTILINE)


class UpdateFailed(HubError):
    """yt-dlp could not be updated: {reason}."""

    code = "update_failed"


class Release(NamedTuple):
    """A yt-dlp; `path` is the directory to import it from, None where that is the interpreter's own."""

    version: str
    path: Path | None

    def age_days(self, today: date | None = None) -> int | None:
        """Its version is the day it was made on; None where it does not look like one."""
        try:
            made = date(*self.numbers[:3])
        except (TypeError, ValueError):
            return None
        return ((today or datetime.now(UTC).date()) - made).days

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(int(number) for number in self.version.split(".") if number)


class Current:
    """The one that is used now; `renew` is called with another when there is one."""

    def __init__(self, data: Path, renew: Callable[[Release | None], None]) -> None:
        self.release = chosen(data)
        self._data = data
        self._renew = renew

    async def run(self) -> None:
        """Look for updates until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        found = chosen(self._data)
        if found != self.release:
            self.release = found
            log.info("downloads use yt-dlp %s from now on", found.version if found else "no more")
            self._renew(found)


def chosen(data: Path) -> Release | None:
    """The newest there is, without importing any; None where there is none at all."""
    found = [*_own(data), _installed()]
    return max((one for one in found if one is not None), key=lambda one: one.numbers, default=None)


def warn_if_old(release: Release | None) -> None:
    if release is None:
        log.warning("yt-dlp is not installed, so there will be no downloads")
    elif (days := release.age_days()) is not None and days > OLD_DAYS:
        log.warning("yt-dlp %s is %d days old; progresshub update-ytdlp gets a newer one", release.version, days)


def update(data: Path) -> Release:
    """Install the newest yt-dlp into the data directory, beside what is there.

    The one before is kept as well: a running server still reads from it.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = data / DIRECTORY / ".new"
    shutil.rmtree(new, ignore_errors=True)
    _install(new)
    release = _at(new)
    if release is None:
        raise UpdateFailed(reason="what was installed has no version")
    place = new.with_name(release.version)
    if place.exists():
        shutil.rmtree(new)
    else:
        new.rename(place)
    for old in sorted(_own(data), key=lambda one: one.numbers)[:-KEPT]:
        shutil.rmtree(data / DIRECTORY / old.version, ignore_errors=True)
    return Release(release.version, place)


def _install(place: Path) -> None:
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(place), "yt-dlp"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=UPDATE_S, check=False)
    except subprocess.TimeoutExpired:
        raise UpdateFailed(reason=f"it took longer than {UPDATE_S:g} s") from None
    except OSError as error:
        raise UpdateFailed(reason=error.strerror or type(error).__name__) from None
    if done.returncode:
        last = (done.stderr.strip() or "pip said nothing").splitlines()[-1]
        raise UpdateFailed(reason=last)


def _own(data: Path) -> list[Release]:
    try:
        places = [place for place in (data / DIRECTORY).iterdir() if not place.name.startswith(".")]
    except FileNotFoundError:
        return []
    return [release for place in places if (release := _at(place)) is not None]


def _installed() -> Release | None:
    found = importlib.util.find_spec("yt_dlp")
    release = None if found is None or found.origin is None else _at(Path(found.origin).parents[1])
    return None if release is None else Release(release.version, None)


def _at(place: Path) -> Release | None:
    try:
        match = _VERSION.search((place / "yt_dlp" / "version.py").read_text())
    except OSError:
        return None
    return None if match is None else Release(match[1], place)
