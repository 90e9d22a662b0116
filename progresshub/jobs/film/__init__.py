"""The work of the kind `video`, done by a worker: a deck is written, spoken, drawn and put together.

Everything heavy is imported here and not in the server.
"""

from __future__ import annotations

from progresshub.jobs.film.making import make

__all__ = ["make"]
