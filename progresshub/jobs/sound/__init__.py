"""The kind `audio`, the worker's half: decoding, separation, beats and words of one song.

A fork server imports this once; each of its children then calls `take_apart`. Nothing here is imported
by the server itself.
"""

from __future__ import annotations

import os

# Before numpy is imported: its threads would be there when the fork server forks, and products this small gain nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from progresshub.jobs.sound.song import take_apart

__all__ = ["take_apart"]
