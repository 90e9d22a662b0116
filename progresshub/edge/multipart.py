"""Reads `multipart/form-data` as it comes. Sans-I/O: it is fed bytes, and says what is in them.

Nothing but the end of what it was fed is kept, whatever is sent, and what is not a form is refused
as soon as that shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import NamedTuple

from progresshub.errors import InvalidRequest

MOST_BOUNDARY_CHARS = 200
MOST_HEADER_BYTES = 8_192
MOST_PADDING_BYTES = 256
NAME_BYTES = 200
_ESCAPED = {"%22": '"', "%0D": "\r", "%0A": "\n"}


class Part(NamedTuple):
    """The beginning of a part. `file_name` is None for a plain field, and empty for a file that nobody chose."""

    name: str
    file_name: str | None


class PartEnd(NamedTuple):
    """A part is complete."""


class Multipart:
    """One form: bytes in, beginnings, contents and ends of its parts out."""

    def __init__(self, content_type: str) -> None:
        self._mark = b"\r\n--" + _boundary_in(content_type)
        self._kept = b"\r\n"  # so that the first boundary begins like all others
        self._read: Callable[[], Iterator[Part | bytes | PartEnd]] = self._preamble
        self._stuck = False
        self.ended = False

    def feed(self, data: bytes) -> Iterator[Part | bytes | PartEnd]:
        """What these bytes complete; InvalidRequest when they can't belong to a form."""
        self._kept += data
        self._stuck = False
        while not self._stuck:
            yield from self._read()

    def _preamble(self) -> Iterator[Part | bytes | PartEnd]:
        """What comes before the first boundary is nobody's."""
        if self._upto(self._mark) is not None:
            self._read = self._boundary
        yield from ()

    def _boundary(self) -> Iterator[Part | bytes | PartEnd]:
        if self._kept.startswith(b"--"):
            self.ended = True
            self._read = self._epilogue
            return
        padding = self._line(b"\r\n", MOST_PADDING_BYTES)
        if padding is not None:
            if padding.strip(b" \t"):
                raise InvalidRequest(reason="a boundary of the form is followed by something else than a part")
            self._kept = b"\r\n" + self._kept  # so that a part without headers ends them like all others
            self._read = self._headers
        yield from ()

    def _headers(self) -> Iterator[Part | bytes | PartEnd]:
        found = self._line(b"\r\n\r\n", MOST_HEADER_BYTES)
        if found is not None:
            self._read = self._content
            yield _part(found)

    def _content(self) -> Iterator[Part | bytes | PartEnd]:
        end = self._kept.find(self._mark)
        certain = end if end >= 0 else len(self._kept) - len(self._mark) + 1
        if certain > 0:
            yield self._cut(certain)
        if end >= 0:
            self._cut(len(self._mark))
            self._read = self._boundary
            yield PartEnd()
        else:
            self._stuck = True

    def _epilogue(self) -> Iterator[Part | bytes | PartEnd]:
        self._kept = b""
        self._stuck = True
        yield from ()

    def _upto(self, mark: bytes) -> bytes | None:
        """What comes before a mark, which is cut off with it; without one all but what may be its beginning is lost."""
        place = self._kept.find(mark)
        if place < 0:
            self._stuck = True
            self._cut(max(0, len(self._kept) - len(mark) + 1))
            return None
        found = self._cut(place)
        self._cut(len(mark))
        return found

    def _line(self, end: bytes, most_bytes: int) -> bytes | None:
        place = self._kept.find(end)
        if place > most_bytes or (place < 0 and len(self._kept) > most_bytes):
            raise InvalidRequest(reason=f"a part of the form begins with more than {most_bytes} bytes of headers")
        if place < 0:
            self._stuck = True
            return None
        return self._upto(end)

    def _cut(self, size: int) -> bytes:
        taken, self._kept = self._kept[:size], self._kept[size:]
        return taken


def _boundary_in(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary("")
    if not 1 <= len(boundary) <= MOST_BOUNDARY_CHARS or not boundary.isascii():
        raise InvalidRequest(reason="its Content-Type names no boundary of the form's parts")
    return boundary.encode()


def _part(headers: bytes) -> Part:
    """A part by its headers: what it is called, and under which name its file was known."""
    try:
        lines = headers.decode().split("\r\n")
    except UnicodeDecodeError:
        raise InvalidRequest(reason="the headers of a part of the form are not UTF-8") from None
    message = Message()
    for line in lines:
        header, _, value = line.partition(":")
        if header.strip().lower() in ("content-disposition", "content-transfer-encoding"):
            message[header.strip()] = value.strip()
    if message.get("Content-Transfer-Encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise InvalidRequest(reason="a part of the form is encoded, which forms no longer are")
    name = _parameter(message, "name")
    if message.get_content_disposition() != "form-data" or not name:
        raise InvalidRequest(reason="a part of the form has no name")
    file_name = _parameter(message, "filename")
    for given in (name, file_name or ""):
        if len(given.encode(errors="replace")) > NAME_BYTES:
            raise InvalidRequest(reason=f"a name in the form is longer than {NAME_BYTES} bytes")
    return Part(name, file_name)


def _parameter(message: Message, name: str) -> str | None:
    """What browsers escape in a name is put back; everything else in it is meant."""
    value = message.get_param(name, header="content-disposition")
    if value is None:
        return None
    text = collapse_rfc2231_value(value)
    for escaped, character in _ESCAPED.items():
        text = text.replace(escaped, character)
    return text
