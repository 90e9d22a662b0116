"""Where everything on a slide stands, before anything is drawn.

A slide is 1280 by 720 units. What stands below the title is set as large as it looks well and fits; what
does not fit even when it is small is cut off with an ellipsis. Each element is a list of marks.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from PIL import Image

from progresshub.jobs.film.deck import Code, Element, Paragraph, Picture, Point, Quote, Slide, Table
from progresshub.jobs.film.fonts import Fonts, Weight
from progresshub.jobs.film.text import Style, is_right_to_left, measure, wrap

WIDTH, HEIGHT = 1280, 720
MARGIN = 88
TOP, BOTTOM = 66, 632
TITLE_SIZES = (46, 42, 38, 34, 30, 26)
COVER_SIZES = (76, 68, 60, 52, 44, 36)
TITLE_LINES = 2
COVER_LINES = 4
SCALES = (1.3, 1.2, 1.1, 1.0, 0.92, 0.85, 0.78, 0.71, 0.64, 0.58, 0.52, 0.46)
ROOMY = 0.8
"""The share of the height that text larger than usual may fill."""
COLUMN_GAP = 56
GAP, MOST_GAP = 18, 34
"""Between elements, at scale 1."""
MOST_STRETCH = 1.7
"""How much wider than it needs to be a table may become."""
PICTURE_SHARE = 0.46
MOST_COLUMNS = 4
"""Of pictures that stand alone."""
TEXT_TOP = 10
"""So far below its frame's upper edge does a text seem to begin, and a picture beside it."""
CODE_SIZE = 26

Colour = Literal["ink", "title", "faint", "accent", "panel", "line", "paper"]


class Words(NamedTuple):
    """One line of text. `x` is its left end, or its right one when `rightward` is False; `y` its baseline."""

    x: float
    y: float
    text: str
    size: float
    weight: Weight
    colour: Colour
    rightward: bool = True


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    radius: float
    colour: Colour


class Shown(NamedTuple):
    """A picture, made to fit its frame."""

    x: float
    y: float
    width: float
    height: float
    image: Image.Image


Mark = Words | Box | Shown


class Layout(NamedTuple):
    """`always` is in sight from the start, `elements` one after another."""

    always: tuple[Mark, ...]
    elements: tuple[tuple[Mark, ...], ...]


class Frame(NamedTuple):
    """A rectangle to put things in."""

    x: float
    y: float
    width: float
    height: float


class Footer(NamedTuple):
    """What stands at the bottom of each slide."""

    topic: str
    number: int
    of: int


class Setter:
    """Sets slides. Text is measured at the next whole size, so that none is longer than it was said to be."""

    def __init__(self, fonts: Fonts, pictures: Mapping[str, Image.Image]) -> None:
        self._fonts = fonts
        self._pictures = pictures

    def set(self, slide: Slide, footer: Footer) -> Layout:
        if not slide.elements:
            return Layout((*self._cover(slide.title, footer), *self._foot(footer, with_topic=False)), ())
        head, below = self._head(slide.title)
        frame = Frame(MARGIN, below, WIDTH - 2 * MARGIN, BOTTOM - below)
        return Layout((*head, *self._foot(footer, with_topic=True)), self._body(slide, frame))

    def _cover(self, title: str, footer: Footer) -> list[Mark]:
        """A title alone, large, in the middle of the height."""
        width = WIDTH - 2 * MARGIN - 40
        size, lines = self._fitted(title, COVER_SIZES, width, COVER_LINES)
        rtl = is_right_to_left(title)
        height = size * 1.2 * len(lines)
        top = (HEIGHT - height) / 2 - 20
        marks: list[Mark] = [_at_side(Box(MARGIN, top, 8, height, 4, "accent"), rtl)]
        x = WIDTH - MARGIN - 40 if rtl else MARGIN + 40
        marks += _lines(lines, Words(x, top, "", size, "bold", "title", not rtl), 1.2)
        if footer.topic != title:
            style = self._style("regular", 26)
            topic = wrap(footer.topic, style, width)[0]
            marks.append(Words(x, top + height + 52, topic, 26, "regular", "faint", not rtl))
        return marks

    def _head(self, title: str) -> tuple[list[Mark], float]:
        """The title with its rule above it, and where the rest may begin."""
        size, lines = self._fitted(title, TITLE_SIZES, WIDTH - 2 * MARGIN, TITLE_LINES)
        rtl = is_right_to_left(title)
        marks: list[Mark] = [_at_side(Box(MARGIN, TOP, 64, 6, 3, "accent"), rtl)]
        top = TOP + 24
        x = WIDTH - MARGIN if rtl else MARGIN
        marks += _lines(lines, Words(x, top, "", size, "bold", "title", not rtl), 1.2)
        return marks, top + size * 1.2 * len(lines) + 34

    def _foot(self, footer: Footer, *, with_topic: bool) -> list[Mark]:
        marks: list[Mark] = [
            Box(0, HEIGHT - 6, WIDTH, 6, 0, "line"),
            Box(0, HEIGHT - 6, WIDTH * footer.number / footer.of, 6, 0, "accent"),
            Words(WIDTH - MARGIN, 684, f"{footer.number} / {footer.of}", 18, "regular", "faint", rightward=False),
        ]
        if with_topic:
            topic = self._shortened(footer.topic, self._style("regular", 18), WIDTH - 2 * MARGIN - 120)
            marks.append(Words(MARGIN, 684, topic, 18, "regular", "faint"))
        return marks

    def _body(self, slide: Slide, frame: Frame) -> tuple[tuple[Mark, ...], ...]:
        """Text in the whole width, or beside the pictures when there are any."""
        texts = [element for element in slide.elements if not isinstance(element, Picture)]
        beside = self._framed(slide.pictures, frame, alone=not texts)
        rtl = any(is_right_to_left(_first_text(element)) for element in texts[:1])
        if texts and beside:
            taken = frame.width * PICTURE_SHARE + COLUMN_GAP
            if rtl:
                beside = [[_mirrored(mark, frame) for mark in marks] for marks in beside]
            frame = Frame(frame.x + (taken if rtl else 0), frame.y, frame.width - taken, frame.height)
        placed = iter(self._column(texts, frame))
        shown = iter(beside)
        return tuple(tuple(next(shown if isinstance(each, Picture) else placed)) for each in slide.elements)

    def _framed(self, pictures: Sequence[Picture], frame: Frame, *, alone: bool) -> list[list[Mark]]:
        """Pictures alone in as many columns as show them largest, or one above the other at the far side of text."""
        if not pictures:
            return []
        images = [self._pictures[picture.name] for picture in pictures]
        if not alone:
            width = frame.width * PICTURE_SHARE
            frame = frame._replace(x=frame.x + frame.width - width, width=width)
        grids = [_grid(images, frame, columns) for columns in (range(1, MOST_COLUMNS + 1) if alone else (1,))]
        best = max(grids, key=lambda grid: sum(shown.width * shown.height for shown in grid))
        if len(best) == 1 and not alone:
            best = [shown._replace(y=frame.y + min(TEXT_TOP, frame.height - shown.height)) for shown in best]
        return [[shown] for shown in best]

    def _column(self, elements: Sequence[Element], frame: Frame) -> list[list[Mark]]:
        """Text at the largest scale that fits, with more room between where there is some."""
        if not elements:
            return []
        at = bisect_left(SCALES, True, key=lambda scale: self._spare(elements, frame, scale) >= 0)
        if at == len(SCALES):
            column = _Column(self, frame, SCALES[-1], GAP * SCALES[-1])
            return [_cut(column.add(element), frame) for element in elements]
        scale = SCALES[at]
        airy = GAP * scale + max(0.0, self._spare(elements, frame, scale)) / len(elements) * ROOMY
        column = _Column(self, frame, scale, min(MOST_GAP * scale, airy))
        return [column.add(element) for element in elements]

    def _spare(self, elements: Sequence[Element], frame: Frame, scale: float) -> float:
        """The height that is left over at a scale; below zero when it does not fit."""
        column = _Column(self, frame, scale, GAP * scale)
        for element in elements:
            column.add(element)
        return frame.height * (ROOMY if scale > 1 else 1.0) - column.used

    def _fitted(self, text: str, sizes: Sequence[int], width: float, most_lines: int) -> tuple[int, list[str]]:
        """The largest size at which the text has few enough lines; in the end it is cut."""
        lines = [text]
        for size in sizes:
            lines = wrap(text, self._style("bold", size), width)
            if len(lines) <= most_lines:
                return size, lines
        return sizes[-1], [*lines[: most_lines - 1], f"{lines[most_lines - 1][:-1]}…"]

    def _shortened(self, text: str, style: Style, width: float) -> str:
        """As much of the text as fits; nothing where there is no room for an ellipsis either."""
        if measure(text, style) <= width:
            return text
        while text and measure(text + "…", style) > width:
            text = text[:-1]
        return text + "…" if measure(text + "…", style) <= width else ""

    def _style(self, weight: Weight, size: float) -> Style:
        return Style(self._fonts, weight, math.ceil(size))

    style = _style
    shortened = _shortened


class _Column:
    """Elements one below the other at one scale; `used` is the height they take."""

    def __init__(self, setter: Setter, frame: Frame, scale: float, gap: float) -> None:
        self._setter = setter
        self._frame = frame
        self._scale = scale
        self._gap = gap
        self._y = frame.y
        self.used = 0.0

    def add(self, element: Element) -> list[Mark]:
        marks = list[Mark]()
        match element:
            case Point():
                marks = self._point(element)
            case Paragraph(text=text):
                marks = self._text(text, 30, 0, "ink")
            case Quote(text=text):
                marks = self._quote(text)
            case Code(text=text):
                marks = self._code(text)
            case Table(rows=rows):
                marks = self._table(rows)
        self.used = self._y - self._frame.y
        self._y += self._gap
        return marks

    def _point(self, point: Point) -> list[Mark]:
        size = (30, 26, 23)[point.level] * self._scale
        indent = (34 + 36 * point.level) * self._scale
        rtl = is_right_to_left(point.text)
        baseline = self._y + size
        if point.number:
            start = (36 * point.level) * self._scale
            length = measure(point.number, self._setter.style("bold", size))
            indent = max(indent + 10 * self._scale, start + length + 14 * self._scale)
            x = self._frame.x + self._frame.width - start if rtl else self._frame.x + start
            mark: Mark = Words(x, baseline, point.number, size, "bold", "accent", not rtl)
        else:
            radius = (5.5, 4.0, 3.5)[point.level] * self._scale
            start = (6 + 36 * point.level) * self._scale
            x = self._frame.x + (self._frame.width - start - 2 * radius if rtl else start)
            colour: Colour = "accent" if point.level == 0 else "faint"
            mark = Box(x, baseline - size * 0.34 - radius, 2 * radius, 2 * radius, radius, colour)
        return [mark, *self._text(point.text, size / self._scale, indent, "ink")]

    def _text(self, text: str, size: float, indent: float, colour: Colour) -> list[Mark]:
        """Lines at the side where the text begins."""
        size *= self._scale
        lines = wrap(text, self._setter.style("regular", size), self._frame.width - indent)
        rtl = is_right_to_left(text)
        x = self._frame.x + (self._frame.width - indent if rtl else indent)
        marks = _lines(lines, Words(x, self._y, "", size, "regular", colour, not rtl), 1.32)
        self._y += size * 1.32 * len(lines)
        return marks

    def _quote(self, text: str) -> list[Mark]:
        top = self._y
        marks = self._text(text, 34, 32 * self._scale, "title")
        bar = Box(self._frame.x, top, 5 * self._scale, self._y - top, 2, "accent")
        return [_within(bar, self._frame, is_right_to_left(text)), *marks]

    def _code(self, text: str) -> list[Mark]:
        """In a panel, as large as its longest line allows."""
        lines, padding = text.split("\n"), 22 * self._scale
        size = CODE_SIZE * self._scale
        room = self._frame.width - 2 * padding
        widest = max(measure(line, self._setter.style("mono", 40)) for line in lines) * size / 40
        size *= min(1.0, room / widest) if widest else 1.0
        size = max(size, 11.0)
        height = size * 1.4 * len(lines) + 2 * padding
        style = self._setter.style("mono", size)
        lines = [self._setter.shortened(line, style, room + size) for line in lines]
        panel = Box(self._frame.x, self._y, self._frame.width, height, 10, "panel")
        first = Words(self._frame.x + padding, self._y + padding, "", size, "mono", "ink")
        marks = _lines(lines, first, 1.4)
        self._y += height
        return [panel, *marks]

    def _table(self, rows: Sequence[Sequence[str]]) -> list[Mark]:
        """Columns in proportion to what stands in them; a cell has one line."""
        size, pad = 24 * self._scale, 14 * self._scale
        style = self._setter.style("bold", size)
        columns = max(map(len, rows))
        widths = [
            max(measure(row[at], style) if at < len(row) else 0 for row in rows) + 2 * pad for at in range(columns)
        ]
        stretch = min(MOST_STRETCH, self._frame.width / sum(widths))
        widths = [width * stretch for width in widths]
        inset = pad * min(1.0, stretch)
        marks: list[Mark] = []
        for number, row in enumerate(rows):
            x, height = self._frame.x, size * 1.32 + pad
            for cell, width in zip(row, widths, strict=False):
                weight: Weight = "regular" if number else "bold"
                text = self._setter.shortened(cell, self._setter.style(weight, size), width - 2 * inset + 1)
                rtl = is_right_to_left(cell)
                colour: Colour = "ink" if number else "title"
                start = x + width - inset if rtl else x + inset
                marks.append(Words(start, self._y + pad / 2 + size, text, size, weight, colour, not rtl))
                x += width
            self._y += height
            marks.append(
                Box(self._frame.x, self._y, sum(widths), 1 if number else 2, 0, "line" if number else "accent")
            )
        return marks


def _grid(images: Sequence[Image.Image], frame: Frame, columns: int) -> list[Shown]:
    """Each in the middle of its cell, as large as it fits."""
    rows = math.ceil(len(images) / columns)
    gap = min(16, frame.height / rows / 4)
    across, down = (frame.width + gap) / columns, (frame.height + gap) / rows
    shown = []
    for position, image in enumerate(images):
        row, column = divmod(position, columns)
        scale = min((across - gap) / image.width, (down - gap) / image.height)
        width, height = image.width * scale, image.height * scale
        x = frame.x + column * across + (across - gap - width) / 2
        y = frame.y + row * down + (down - gap - height) / 2
        shown.append(Shown(x, y, width, height, image))
    return shown


def _lines(lines: Sequence[str], first: Words, leading: float) -> list[Mark]:
    """Lines below one another as `first` is set, whose `y` is the top here."""
    return [
        first._replace(text=line, y=first.y + first.size * (leading * number + 1)) for number, line in enumerate(lines)
    ]


def _at_side(box: Box, rtl: bool) -> Box:
    return box._replace(x=WIDTH - box.x - box.width) if rtl else box


def _within(box: Box, frame: Frame, rtl: bool) -> Box:
    return box._replace(x=2 * frame.x + frame.width - box.x - box.width) if rtl else box


def _mirrored(mark: Mark, frame: Frame) -> Mark:
    if isinstance(mark, Words):
        return mark
    return mark._replace(x=2 * frame.x + frame.width - mark.x - mark.width)


def _cut(marks: list[Mark], frame: Frame) -> list[Mark]:
    """Only what lies within the frame."""
    bottom = frame.y + frame.height
    return [mark for mark in marks if (mark.y if isinstance(mark, Words) else mark.y + mark.height) <= bottom]


def _first_text(element: Element) -> str:
    match element:
        case Table(rows=rows):
            return rows[0][0] if rows[0] else ""
        case Picture(about=text) | Code(text=text) | Point(text=text) | Paragraph(text=text) | Quote(text=text):
            return text
