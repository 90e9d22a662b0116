"""Films for tests: made as a worker makes them, and looked into."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from PIL import Image

from progresshub.jobs import video
from progresshub.jobs.functions import Context, perform
from progresshub.report import Reporter
from progresshub.settings import Video
from tests import make

PIPE_BYTES = 1_048_576
TEA = """\
# Tea, in short

# From leaf to cup

- Leaves are picked
- Leaves wither
  - for a day

> Note: First the leaves are picked. Then they wither for a day.

# A recipe

```python
steep(seconds=180)
```

# Kinds

| Kind | Time |
|---|---|
| Green | 2 min |

# A picture

![a cup of tea](cup.png)

- It is hot
"""


class Made(NamedTuple):
    """What became of a film: all that was reported on the way, and the last word."""

    reports: list[dict[str, Any]]
    last: dict[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        assert self.last["status"] == "done", self.last
        result: dict[str, Any] = self.last["result"]
        return result

    def stages(self) -> list[str]:
        """Each stage once, in the order of their first appearances."""
        return list(dict.fromkeys(report["stage"] for report in self.reports if report.get("stage")))


def film(directory: Path, settings: Video | None = None, **payload: Any) -> Made:
    """Make a film in a directory, in this process; skips where something is missing for it."""
    settings = settings or Video()
    if lacking := video.missing(settings):
        pytest.skip(f"{', '.join(lacking)} not installed, so no film can be made")
    kind = video.kind(settings)
    launch: Any = kind.launch(make.task(kind="video", payload=kind.check({"topic": "Tea", **payload})))
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with os.fdopen(reading, "rb") as reports:
        context = Context(Reporter(writing), task_id="1", attempt=1, directory=directory)
        last = perform(launch.target, launch.arguments, context)
        os.close(writing)
        return Made([json.loads(line) for line in reports], msgspec.to_builtins(last))


def cup(directory: Path, name: str = "cup.png", size: tuple[int, int] = (320, 200)) -> str:
    """Put a picture there, as an upload does."""
    directory.mkdir(exist_ok=True)
    Image.new("RGB", size, "#886644").save(directory / name)
    return name


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe finds in a file."""
    argv = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-show_chapters", "-of", "json", str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout)
    return found
