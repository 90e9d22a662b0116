"""Text as lines of a given width, each a row of runs that one font can show.

Arabic and Hebrew run from right to left, in whole texts as in words among others; Chinese, Japanese and
Korean may break between any two characters but not before a closing mark. Lengths are in pixels.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from PIL import features

from progresshub.jobs.film.fonts import EMOJI_SIZE, Face, Fonts, Weight, sized

SHAPES = features.check("raqm")
EMOJI_SHARE = 1.0
"""How large an emoji is beside the letters."""

_LETTERS = {"R": True, "AL": True, "L": False}
_DIGITS = {"EN": False, "AN": False}
_JOINERS = "\u200d\ufe0e\ufe0f\u20e3"
_MAKES_TEXT = "\ufe0e"
_MAKES_EMOJI = "\ufe0f\u20e3\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_WIDE = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
_CLOSING = (
    r"\u3001\u3002\u3009\u300b\u300d\u300f\u3011\u3015\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff3d\uff5d\u30fc"
)
_TOKENS = re.compile(rf"\s+|[{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+")


class Run(NamedTuple):
    """A piece of text in one face; `rtl` when its own letters run from right to left."""

    text: str
    face: Face
    rtl: bool


class Style(NamedTuple):
    """How text is set: `size` in pixels, `weight` and the fonts to choose from."""

    fonts: Fonts
    weight: Weight
    size: int


def is_right_to_left(text: str) -> bool:
    """By its first letter that has a direction."""
    directions = (unicodedata.bidirectional(sign) for sign in text)
    return next((way in ("R", "AL") for way in directions if way in ("L", "R", "AL")), False)


def wrap(text: str, style: Style, width: float) -> list[str]:
    """Lines no longer than `width`; a word that is longer by itself is broken."""
    lines, line, used = list[str](), "", 0.0
    for token in _pieces(text, style, width):
        length = measure(token, style)
        if line and used + length > width and not token.isspace():
            lines.append(line.rstrip())
            line, used = "", 0.0
        if line or not token.isspace():
            line, used = line + token, used + length
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


@lru_cache(maxsize=16_384)
def measure(text: str, style: Style) -> float:
    return sum(length(run, style.size) for run in runs(text, style))


def length(run: Run, size: int) -> float:
    if run.face.emoji:
        return sized(run.face, size).getlength(run.text) * size * EMOJI_SHARE / EMOJI_SIZE
    return sized(run.face, size).getlength(run.text, direction=direction(run))


def direction(run: Run) -> str | None:
    """What Pillow wants to hear; without a shaping library, or with its own font, it knows no directions."""
    return ("rtl" if run.rtl else "ltr") if SHAPES and run.face.path else None


def runs(text: str, style: Style) -> tuple[Run, ...]:
    """In the order in which they are read."""
    return _runs(text, style.fonts, style.weight)


@lru_cache(maxsize=16_384)
def _runs(text: str, fonts: Fonts, weight: Weight) -> tuple[Run, ...]:
    found = list[Run]()
    for sign, after, rtl in zip(text, f"{text} "[1:], _ways(text), strict=True):
        last = found[-1] if found else None
        face = last.face if last and _goes_along(sign, last) else fonts.face(sign, weight, emoji=_as_emoji(after))
        if last and last.face == face and last.rtl == rtl:
            found[-1] = last._replace(text=last.text + sign)
        else:
            found.append(Run(sign, face, rtl))
    return tuple(found)


def in_sight(text: str, style: Style) -> list[Run]:
    """The runs of a line from left to right."""
    base = is_right_to_left(text)
    given = runs(text, style)
    placed, held = list[Run](), list[Run]()
    for run in given[::-1] if base else given:
        if run.rtl == base:
            placed += [*held, run]
            held = []
        else:
            held.insert(0, run)
    return placed + held


def _goes_along(sign: str, last: Run) -> bool:
    """Whether a sign is part of the one before it, or can be shown in any face."""
    if sign.isspace():
        return not last.face.emoji
    return sign in _JOINERS or unicodedata.category(sign).startswith("M")


def _as_emoji(after: str) -> bool | None:
    """Whether the sign before this one is to be an emoji; None where this one does not say."""
    return True if after in _MAKES_EMOJI else False if after == _MAKES_TEXT else None


def _ways(text: str) -> list[bool]:
    """For each sign whether it runs to the left; one that has no way goes with its neighbours, if they agree."""
    base = is_right_to_left(text)
    known = {**_LETTERS, **(_DIGITS if base else {})}
    strong = [known.get(unicodedata.bidirectional(sign)) for sign in text]
    before, after = _held(strong, base), _held(strong[::-1], base)[::-1]
    return [left if left == right else base for left, right in zip(before, after, strict=True)]


def _held(strong: Sequence[bool | None], base: bool) -> list[bool]:
    """Each sign's own way, or that of the last one that had any."""
    held = list[bool]()
    for way in strong:
        held.append((held[-1] if held else base) if way is None else way)
    return held


def _pieces(text: str, style: Style, width: float) -> Iterator[str]:
    for token in _TOKENS.findall(text):
        if measure(token, style) <= width:
            yield token
            continue
        piece = ""
        for sign in token:
            if piece and measure(piece + sign, style) > width:
                yield piece
                piece = ""
            piece += sign
        yield piece
