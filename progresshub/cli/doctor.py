"""`progresshub doctor`: what is missing, old or wrong, of this machine and of the server it finds.

Looking changes nothing. What is bad makes the exit code 1; a warning does not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from progresshub import __version__, config, release
from progresshub.cli import words
from progresshub.cli.look import as_json
from progresshub.client import AsyncClient, ClientError
from progresshub.errors import HubError

LITTLE_BYTES = 1_000_000_000
PROGRAMS = {"ffmpeg": "downloads can't be merged or converted", "ffprobe": "media can't be looked into"}
SIGNS = {"ok": "ok  ", "warning": "warn", "bad": "BAD "}


class Finding(NamedTuple):
    verdict: str
    about: str
    told: str


def run(args: Namespace) -> int:
    found = [*_here(args), *asyncio.run(_server(args))]
    if args.json:
        print(as_json([finding._asdict() for finding in found]))
    else:
        print("\n".join(f"{SIGNS[one.verdict]}  {one.about:<9} {words.clean(one.told)}" for one in found))
    return 1 if any(one.verdict == "bad" for one in found) else 0


def _here(args: Namespace) -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", "program", f"progresshub {__version__} with Python {python}")
    try:
        loaded = config.load(None, os.environ)
        data = Path(args.data_dir) if args.data_dir else config.data_dir(loaded.config, os.environ)
        yield Finding("ok", "settings", f"{len(loaded.sources)} set, the others at their defaults")
        yield from _directory(data)
        yield _downloader(data)
    except HubError as error:
        yield Finding("bad", "settings", error.message)
    for program, without in PROGRAMS.items():
        path = shutil.which(program)
        yield Finding("ok", program, path) if path else Finding("warning", program, f"is not installed: {without}")
    encoding = sys.stdout.encoding or "unknown"
    good = encoding.lower().startswith("utf")
    yield Finding("ok" if good else "warning", "terminal", f"{os.environ.get('TERM', 'none')}, {encoding}")


def _directory(data: Path) -> Iterator[Finding]:
    try:
        there = data.is_dir()
    except OSError as error:
        yield Finding("bad", "data", f"{data} can't be looked at ({error.strerror})")
        return
    if not there:
        yield Finding("warning", "data", f"{data} is not there; a server makes it when it starts")
        return
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("bad", "data", f"{data} can't be read and written")
        return
    if data.stat().st_mode & 0o077:
        yield Finding("warning", "data", f"{data} can be read by others: chmod 700 {data}")
    free_bytes = shutil.disk_usage(data).free
    verdict = "ok" if free_bytes > LITTLE_BYTES else "warning"
    yield Finding(verdict, "data", f"{data}, with {words.size(free_bytes)} free")


def _downloader(data: Path) -> Finding:
    found = release.chosen(data)
    if found is None:
        return Finding("warning", "yt-dlp", "is not installed, so there will be no downloads")
    days = found.age_days()
    old = days is not None and days > release.OLD_DAYS
    hint = "; progresshub update-ytdlp gets a newer one" if old else ""
    return Finding("warning" if old else "ok", "yt-dlp", f"{found.version}, {days} days old{hint}")


async def _server(args: Namespace) -> list[Finding]:
    try:
        async with AsyncClient(args.url, data=args.data_dir or None) as client:
            health = await client.health()
            verdict = "ok" if health.status == "healthy" else "bad"
            found = [Finding(verdict, "server", f"{client.address.url} is {health.status}")]
            if health.version != __version__:
                found.append(Finding("warning", "version", f"the server is {health.version}, this is {__version__}"))
            return [*found, await _token(client)]
    except ClientError as error:
        return [Finding("bad", "server", error.message)]


async def _token(client: AsyncClient) -> Finding:
    try:
        scopes = await client.scopes()
    except ClientError as error:
        return Finding("bad", "token", error.message)
    verdict = "ok" if "submit" in scopes else "warning"
    sent = "one is sent" if client.address.token else "none is sent"
    return Finding(verdict, "token", f"{sent}; allowed is {', '.join(scopes) or 'nothing'}")
