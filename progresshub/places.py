"""Where things are kept on this machine, and the word that a server leaves there.

Both the server and its clients look here, so they can't disagree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from progresshub.errors import InvalidConfig

SERVER = "server.json"
"""In the data directory: where the server that uses it listens."""

TOKEN = "token"  # noqa: S105 - a file's name
"""In the data directory: this machine's own token."""


def data_dir(chosen: str, environment: Mapping[str, str]) -> Path:
    """Where all is kept: as chosen, or `progresshub` in the user's data directory."""
    home = environment.get("HOME", "")
    if chosen:
        return Path(re.sub(r"^~(?=/|$)", lambda match: home or match[0], chosen))
    # The XDG specification has relative paths ignored.
    if (base := environment.get("XDG_DATA_HOME", "")).startswith("/"):
        return Path(base) / "progresshub"
    if home:
        return Path(home) / ".local" / "share" / "progresshub"
    raise InvalidConfig(where="server.data_dir", reason="must be set where there is no home directory")
