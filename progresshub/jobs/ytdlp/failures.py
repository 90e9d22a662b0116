"""Why a download failed, in words, and whether trying again may help."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from typing import NamedTuple

from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import (
    ContentTooShortError,
    DownloadError,
    ExtractorError,
    GeoRestrictedError,
    PostProcessingError,
    UnsupportedError,
)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REPORT_TO_OTHERS = re.compile(r";? ?please report this issue on .*", re.DOTALL)
_STATUS = re.compile(r"\bHTTP Error ([45]\d\d)\b")
_PASSING_STATUSES = frozenset({408, 425, 429})


class Unfit(Exception):
    """What is asked for can't be had here: `error_type` is a stable word for programs."""

    def __init__(self, message: str, error_type: str, *, retry: bool) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.retry = retry


class Why(NamedTuple):
    message: str
    error_type: str
    retry: bool


def explain(error: BaseException) -> Why:
    """The reason that lies deepest decides; the words are those of the error itself."""
    error_type, retry = next(filter(None, map(_reason, _chain(error))), None) or _told(error) or ("download", True)
    return Why(_in_words(error), error_type, retry)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from; yt-dlp keeps that in several places."""
    waiting, seen = [error], set[int]()
    while waiting:
        error = waiting.pop(0)
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        held = error.exc_info[1] if isinstance(error, DownloadError) and error.exc_info else None
        origins = (held, getattr(error, "cause", None), error.__cause__, error.__context__)
        waiting.extend(one for one in origins if isinstance(one, BaseException))


def _reason(error: BaseException) -> tuple[str, bool] | None:
    match error:
        case Unfit(error_type=error_type, retry=retry):
            return error_type, retry
        case UnsupportedError():
            return "unsupported_url", False
        case HTTPError(response=response) if response.get_header("Egress"):
            return "network", True  # it is our own proxy that says so
        case HTTPError(status=status):
            return _refused(status)
        case GeoRestrictedError():
            return "geo_restricted", False
        case PostProcessingError():
            return "processing", False
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return "storage_full", True
        case TransportError() | ContentTooShortError() | ConnectionError() | TimeoutError():
            return "network", True
        case ExtractorError(expected=True) if error.cause is None:
            return "unavailable", False
    return None


def _told(error: BaseException) -> tuple[str, bool] | None:
    """The status that the words speak of: after its own retries yt-dlp keeps nothing but them."""
    found = _STATUS.search(str(error))
    return _refused(int(found[1])) if found else None


def _refused(status: int) -> tuple[str, bool]:
    return f"http_{status}", not 400 <= status < 500 or status in _PASSING_STATUSES


def _in_words(error: BaseException) -> str:
    text = _COLOUR.sub("", str(error)).removeprefix("ERROR: ")
    return _REPORT_TO_OTHERS.sub("", text).strip() or type(error).__name__
