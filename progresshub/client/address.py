"""Where the server is: told, in the environment, or as it left word in its data directory.

This machine's own token is given only to the server that the same directory names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from progresshub.client.refusals import Unreachable
from progresshub.errors import HubError
from progresshub.places import SERVER, TOKEN, data_dir

UNIX = "unix:"


class Address(NamedTuple):
    """`token` is empty where there is none; `version` is the server's where it left word of it."""

    url: str
    token: str = ""
    version: str = ""

    @property
    def socket(self) -> str:
        """The path of a unix socket; empty for what is reached by network."""
        return self.url.removeprefix(UNIX) if self.url.startswith(UNIX) else ""


class _Word(msgspec.Struct):
    """What a server leaves in its data directory."""

    urls: tuple[str, ...]
    version: str = ""


def find(
    url: str = "", token: str = "", data: str | Path | None = None, environment: Mapping[str, str] | None = None
) -> Address:
    """The server: at `url`, else as `data` names it, else at PROGRESSHUB_URL, else in the usual data directory.

    The token is the one given, else PROGRESSHUB_TOKEN, else that of the data directory if its server is
    the one found. Unreachable says how to start one where there is none.
    """
    environment = os.environ if environment is None else environment
    url = url or ("" if data else environment.get("PROGRESSHUB_URL", ""))
    token = token or environment.get("PROGRESSHUB_TOKEN", "")
    try:
        place = Path(data) if data else _usual(environment)
    except HubError as error:
        if url:  # which needs no more than a token, or not even that
            return Address(url.rstrip("/"), token)
        raise Unreachable(f"no server is known: {error.message}") from None
    word = _read(place)
    if url:
        own = word is not None and _plain(url) in map(_plain, word.urls)
        return Address(url.rstrip("/"), token or (_token(place) if own else ""), word.version if word and own else "")
    if word is None or not word.urls:
        raise Unreachable(f"no server has run with the data in {place}; start one with: progresshub serve")
    return Address(word.urls[0], token or _token(place), word.version)


def _usual(environment: Mapping[str, str]) -> Path:
    chosen = environment.get("PROGRESSHUB_DATA_DIR") or environment.get("PROGRESSHUB_SERVER_DATA_DIR") or ""
    if not chosen and environment.get("PROGRESSHUB_CONFIG"):
        from progresshub import config  # noqa: PLC0415 - most are spared the reading of all settings

        return config.data_dir(config.load(None, environment).config, environment)
    return data_dir(chosen, environment)


def _plain(url: str) -> str:
    return url.rstrip("/").replace("//localhost:", "//127.0.0.1:")


def _read(place: Path) -> _Word | None:
    try:
        return msgspec.json.decode((place / SERVER).read_bytes(), type=_Word)
    except (OSError, msgspec.DecodeError):
        return None


def _token(place: Path) -> str:
    try:
        return (place / TOKEN).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
