"""The kind `audio`, the worker's half: decoding, separation, beats and words of one song.

A fork server imports `song` once, and each of its children calls `take_apart` there. Nothing of this room is
imported by the server itself.
"""

import os

# Before numpy is imported: its threads would be there when the fork server forks, and products this small gain nothing.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
