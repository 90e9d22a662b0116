"""What is said to a slide, sentence by sentence, and how much of the slide is in sight by then.

Notes are said as they are; without any, the title and what stands below it are read out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from progresshub.jobs.film.deck import Slide, words

SENTENCE_CHARS = 400
ALIKE = 0.6
"""The share of an element's words that a sentence has which speaks of it."""

_FULL_STOPS = "\u3002\uff01\uff1f\u061f\u06d4\u0964"  # of Chinese and Japanese, Arabic, Urdu and Hindi
_COMMAS = ",;:\u060c\uff0c\uff1b\uff1a\u3001\u2013\u2014"
_CLOSING = "\"'\u201d\u2019)\\]"
_ENDS = re.compile(rf"(?<=[.!?\u2026])[{_CLOSING}]*\s+(?=[^\sa-z])|(?<=[{_FULL_STOPS}])\s*")
_HELD_BACK = re.compile(r"(?:^|[\s(])(?:\w|[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]t|[Nn]o|[Vv]s|[Ff]ig|e\.g|i\.e|z\.B)\.$")
_PAUSES = re.compile(rf"(?<=[{_COMMAS}])\s*|\s+")
_LONG_WORDS = re.compile(r"\w{4,}")
_END_MARKS = f".!?\u2026:;{_FULL_STOPS}"


class Line(NamedTuple):
    """A sentence; `shown` elements of the slide are in sight when it begins."""

    text: str
    shown: int


def narrate(slide: Slide) -> tuple[Line, ...]:
    """At least one line for every slide, and everything in sight by the last."""
    lines = tuple(_noted(slide) if slide.notes else _read_out(slide))
    return (*lines[:-1], lines[-1]._replace(shown=len(slide.elements)))


def sentences(text: str) -> list[str]:
    """The sentences of a text, the very long ones in pieces."""
    found = [""]
    for part in _ENDS.split(text):
        if found[-1] and not _HELD_BACK.search(found[-1]):
            found.append("")
        found[-1] = f"{found[-1]} {part}".strip()
    return [piece for sentence in found for piece in _pieces(sentence) if piece]


def _noted(slide: Slide) -> Iterator[Line]:
    said = sentences(slide.notes)
    places = _places([_telling(words(element)) for element in slide.elements], list(map(_telling, said)))
    for number, text in enumerate(said):
        yield Line(text, sum(place <= number for place in places))


def _places(elements: Sequence[set[str]], said: Sequence[set[str]]) -> list[int]:
    """The sentence with which each element comes: one that has its words, else its turn if all are spread evenly."""
    places = list[int]()
    for position, wanted in enumerate(elements):
        earliest = places[-1] if places else 0
        best = max(range(earliest, len(said)), key=lambda number: len(wanted & said[number]))
        is_said = bool(wanted) and len(wanted & said[best]) >= ALIKE * len(wanted)
        places.append(best if is_said else max(earliest, position * len(said) // len(elements)))
    return places


def _telling(text: str) -> set[str]:
    """The words that tell one text from another."""
    return set(_LONG_WORDS.findall(text.casefold()))


def _read_out(slide: Slide) -> Iterator[Line]:
    yield from (Line(text, _followed(slide, 0)) for text in sentences(_closed(slide.title)))
    for position, element in enumerate(slide.elements, 1):
        shown = _followed(slide, position)
        yield from (Line(text, shown) for text in sentences(_closed(words(element))))


def _followed(slide: Slide, shown: int) -> int:
    """So many elements, and those after them that nothing is said to."""
    while shown < len(slide.elements) and not words(slide.elements[shown]):
        shown += 1
    return shown


def _closed(text: str) -> str:
    """With a mark at its end, so that the voice comes to rest."""
    return text if not text or text[-1] in _END_MARKS else f"{text}."


def _pieces(sentence: str) -> Sequence[str]:
    """The sentence, cut at pauses where it is longer than anybody could follow."""
    pieces = [""]
    for part in _PAUSES.split(sentence) if len(sentence) > SENTENCE_CHARS else [sentence]:
        if len(pieces[-1]) + len(part) > SENTENCE_CHARS and pieces[-1]:
            pieces.append("")
        pieces[-1] = f"{pieces[-1]} {part}".strip()
    return pieces
