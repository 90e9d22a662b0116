"""Draws what the layout says, at twice the size, and makes it smaller: so that every edge is smooth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from PIL import Image, ImageDraw

from progresshub.jobs.film.fonts import EMOJI_SIZE, Fonts, sized
from progresshub.jobs.film.layout import HEIGHT, WIDTH, Box, Layout, Mark, Shown, Words
from progresshub.jobs.film.text import EMOJI_SHARE, Run, Style, direction, in_sight, length
from progresshub.jobs.film.themes import Theme

FINER = 2


class Painter:
    """Paints slides of `height` lines in one theme."""

    def __init__(self, theme: Theme, fonts: Fonts, height: int) -> None:
        self._theme = theme
        self._fonts = fonts
        self._size = (round(height * WIDTH / HEIGHT / 2) * 2, height)
        self._scale = FINER * height / HEIGHT

    def views(self, layout: Layout) -> Iterator[Image.Image]:
        """The slide with none of its elements, with the first, with the first two, and so on."""
        canvas = Image.new("RGB", (FINER * self._size[0], FINER * self._size[1]), self._theme.paper)
        self._paint(canvas, layout.always)
        yield self._finished(canvas)
        for marks in layout.elements:
            self._paint(canvas, marks)
            yield self._finished(canvas)

    def _finished(self, canvas: Image.Image) -> Image.Image:
        return canvas.reduce(FINER)

    def _paint(self, canvas: Image.Image, marks: Iterable[Mark]) -> None:
        draw = ImageDraw.Draw(canvas)
        for mark in marks:
            match mark:
                case Words():
                    self._write(canvas, draw, mark)
                case Box():
                    self._fill(draw, mark)
                case Shown():
                    self._show(canvas, mark)

    def _fill(self, draw: ImageDraw.ImageDraw, box: Box) -> None:
        left, top = box.x * self._scale, box.y * self._scale
        corners = (left, top, left + box.width * self._scale - 1, top + max(box.height * self._scale, FINER) - 1)
        draw.rounded_rectangle(corners, box.radius * self._scale, getattr(self._theme, box.colour))

    def _show(self, canvas: Image.Image, shown: Shown) -> None:
        size = (max(1, round(shown.width * self._scale)), max(1, round(shown.height * self._scale)))
        image = shown.image.resize(size, Image.Resampling.LANCZOS)
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), 10 * self._scale, 255)
        clear = Image.new("L", size, 0)
        clear.paste(image.getchannel("A"), mask=mask)
        canvas.paste(image, (round(shown.x * self._scale), round(shown.y * self._scale)), clear)

    def _write(self, canvas: Image.Image, draw: ImageDraw.ImageDraw, words: Words) -> None:
        size = round(words.size * self._scale)
        runs = in_sight(words.text, Style(self._fonts, words.weight, size))
        x, y = words.x * self._scale, words.y * self._scale
        if not words.rightward:
            x -= sum(length(run, size) for run in runs)
        for run in runs:
            if run.face.emoji:
                self._stick(canvas, run, x, y, size)
            else:
                colour = getattr(self._theme, words.colour)
                font = sized(run.face, size)
                draw.text((x, y), run.text, fill=colour, font=font, anchor="ls", direction=direction(run))
            x += length(run, size)

    def _stick(self, canvas: Image.Image, run: Run, x: float, y: float, size: int) -> None:
        """An emoji, which is a picture of one size."""
        tile = _emoji(run)
        share = size * EMOJI_SHARE / EMOJI_SIZE
        small = tile.resize((max(1, round(tile.width * share)), max(1, round(tile.height * share))))
        canvas.paste(small, (round(x), round(y - small.height * 0.78)), small)


@lru_cache(maxsize=64)
def _emoji(run: Run) -> Image.Image:
    font = sized(run.face, EMOJI_SIZE)
    tile = Image.new("RGBA", (max(1, round(font.getlength(run.text))), round(EMOJI_SIZE * 1.2)))
    ImageDraw.Draw(tile).text((0, EMOJI_SIZE), run.text, font=font, anchor="ls", embedded_color=True)
    return tile
