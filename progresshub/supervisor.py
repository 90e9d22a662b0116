"""The last to hear of a mistake: the only place that catches what nobody expected.

It logs it whole, once, and hands on a refusal that tells outsiders nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from progresshub.errors import HubError, Internal

log = logging.getLogger(__name__)


@contextmanager
def supervised(what: str) -> Iterator[None]:
    """Let refusals pass; anything else that is raised is our mistake, and becomes Internal."""
    try:
        yield
    except HubError:
        raise
    except Exception as mistake:
        log.exception("%s broke off", what)
        raise Internal from mistake
