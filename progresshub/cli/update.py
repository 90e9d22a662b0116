"""`progresshub update-ytdlp`: the newest yt-dlp, for downloads."""

from __future__ import annotations

import sys
from argparse import Namespace

from progresshub import release
from progresshub.cli import settings


def run(args: Namespace) -> int:
    data = settings.data_dir(args)
    updated = release.update(data)
    chosen = release.chosen(data)
    print(updated.version)
    used = "used" if chosen == updated else f"not used, for {chosen.version if chosen else 'none'} is installed"
    print(f"it lies in {updated.path} and is {used} within half a minute", file=sys.stderr)
    return 0
