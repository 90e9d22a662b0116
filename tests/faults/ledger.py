"""A record kept outside of the server it tells of. Each line is on disk before its writer goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson


class Ledger:
    """Lines of JSON that only ever are added."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, **facts: Any) -> None:
        os.write(self._fd, orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE))
        os.fdatasync(self._fd)

    def read(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self._path.read_bytes().splitlines()]

    def close(self) -> None:
        os.close(self._fd)
