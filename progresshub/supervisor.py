"""The last to hear of a mistake: the only place that catches what nobody expected.

It logs it whole, once, and hands on a refusal that tells outsiders nothing.
"""

from __future__ import annotations

import logging
from types import TracebackType

from progresshub.errors import HubError, Internal

log = logging.getLogger(__name__)


class supervised:  # noqa: N801 - read as a word: with supervised("…")
    """Let refusals pass; anything else that is raised is our mistake, and becomes Internal.

    `what` are the words that name it. Every request passes here, so they are joined only when it broke off.
    """

    __slots__ = ("_what",)

    def __init__(self, *what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, mistake: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(mistake, Exception) and not isinstance(mistake, HubError):
            log.error("%s broke off", " ".join(self._what), exc_info=(type(mistake), mistake, trace))
            raise Internal from mistake
