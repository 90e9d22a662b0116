"""A deck of slides as it was written: titles, what stands below them, and what is said to them.

Values only. What is on a slide comes into sight one element after another, in the order given here.
"""

from __future__ import annotations

from dataclasses import dataclass

ROW_S, CODE_LINE_S, PICTURE_S = 1.2, 0.8, 2.0
MOST_LOOK_S = 12.0


@dataclass(frozen=True, slots=True)
class Point:
    """An item of a list. `level` counts from 0; `number` is empty where the list has bullets."""

    text: str
    level: int = 0
    number: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """The first row is the head."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """An uploaded file by its name, and what is to be seen on it in words."""

    name: str
    about: str


Element = Point | Paragraph | Quote | Code | Table | Picture


@dataclass(frozen=True, slots=True)
class Slide:
    """`notes` is what is said in place of what stands there."""

    title: str
    elements: tuple[Element, ...] = ()
    notes: str = ""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(element for element in self.elements if isinstance(element, Picture))


@dataclass(frozen=True, slots=True)
class Deck:
    topic: str
    slides: tuple[Slide, ...]


def words(element: Element) -> str:
    """What is read out of an element; nothing of what is only to be looked at."""
    return element.text if isinstance(element, Point | Paragraph | Quote) else ""


def look_s(element: Element) -> float:
    """How long somebody looks at what nobody reads out, in seconds."""
    match element:
        case Table(rows=rows):
            wanted_s = ROW_S * len(rows)
        case Code(text=text):
            wanted_s = CODE_LINE_S * (text.count("\n") + 1)
        case Picture():
            wanted_s = PICTURE_S
        case _:
            wanted_s = 0.0
    return min(MOST_LOOK_S, wanted_s)
