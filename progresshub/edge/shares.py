"""Links that show one task to whoever has them, until they expire: nothing is kept of them but the key that signs them.

The key comes from this machine's own token; a new one of those ends every link.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

from progresshub.clock import Clock

PREFIX = "phs"  # beside "ph_" of tokens, so that both are known when they leak
MAC_BYTES = 24
_PURPOSE = b"progresshub: links that share a task"


class Shares:
    """Makes tickets, each for one task, and knows its own again."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._key = hmac.digest(secret, _PURPOSE, "sha256")
        self._clock = clock

    def issue(self, task_id: str, lasts_ms: int) -> tuple[str, int]:
        """A ticket to read this task, and when it ends: whole seconds, as milliseconds."""
        until_s = (self._clock.now_ms() + lasts_ms) // 1000
        return f"{PREFIX}_{until_s:x}_{self._sign(task_id, until_s)}", until_s * 1000

    def opens(self, ticket: str, task_id: str) -> bool:
        """Whether it was made for this task and has not ended."""
        return bool(ticket) and self.left_s(ticket, task_id) > 0

    def left_s(self, ticket: str, task_id: str) -> int:
        """How long it still opens the task, in whole seconds; 0 for what never did."""
        prefix, _, rest = ticket.partition("_")
        until, _, signature = rest.partition("_")
        try:
            until_s = int(until, 16)
        except ValueError:
            return 0
        signed = hmac.compare_digest(signature.encode(errors="backslashreplace"), self._sign(task_id, until_s).encode())
        return max(0, until_s - self._clock.now_ms() // 1000) if signed and prefix == PREFIX else 0

    def _sign(self, task_id: str, until_s: int) -> str:
        signed = f"{until_s} {task_id}".encode(errors="backslashreplace")
        return urlsafe_b64encode(hmac.digest(self._key, signed, "sha256")[:MAC_BYTES]).decode()
