"""Slides, set and painted: nothing leaves its place, whatever stands on them."""

import math
import shutil
from itertools import groupby, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from progresshub.jobs.film import fonts, text
from progresshub.jobs.film.deck import Code, Paragraph, Picture, Point, Quote, Slide, Table
from progresshub.jobs.film.fonts import Fonts
from progresshub.jobs.film.layout import BOTTOM, MARGIN, WIDTH, Box, Footer, Setter, Shown, Words
from progresshub.jobs.film.painting import Painter
from progresshub.jobs.film.text import Style
from progresshub.jobs.film.themes import THEMES, theme

FONTS = Fonts("en")
FOOTER = Footer("Tea", 2, 5)
IMAGE = Image.new("RGBA", (400, 300), "#ff0000")
ARABIC = "كيف يُصنع الشاي"
STYLE = Style(FONTS, "regular", 30)
ONE_FACE = Style(Fonts("he", "DejaVu Sans"), "regular", 30)
TEXTS = st.text(st.sampled_from("aeiW  .,-é茶。شד3🎉ñ|\u0301\u200d\ufffd"), min_size=1, max_size=60).filter(str.strip)
ELEMENTS = st.one_of(
    st.builds(Point, TEXTS, st.integers(0, 2), st.sampled_from(["", "12."])),
    st.builds(Paragraph, TEXTS),
    st.builds(Quote, TEXTS),
    st.builds(Code, st.lists(TEXTS, min_size=1, max_size=15).map("\n".join)),
    st.builds(Table, st.lists(st.lists(TEXTS, min_size=1, max_size=8).map(tuple), min_size=1, max_size=9).map(tuple)),
    st.just(Picture("a.png", "")),
)


SPARE = 4  # letters are drawn at another size than they are measured at, each rounded to whole pixels


def set_slide(*elements, title="Tea", fonts=FONTS):
    return Setter(fonts, {"a.png": IMAGE}).set(Slide(title, elements), FOOTER)


def extent(mark):
    """From where to where a mark goes, across and down."""
    if isinstance(mark, Words):
        length = text.measure(mark.text, Style(FONTS, mark.weight, math.ceil(2 * mark.size))) / 2
        left = mark.x if mark.rightward else mark.x - length
        return left, left + length, mark.y - mark.size, mark.y
    return mark.x, mark.x + mark.width, mark.y, mark.y + mark.height


def colours(view):
    return {colour for _, colour in view.getcolors(maxcolors=10**6) or ()}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.lists(ELEMENTS, min_size=1, max_size=8))
def test_everything_stays_on_the_slide_and_above_its_foot(title, elements):
    layout = set_slide(*elements, title=title)

    assert len(layout.elements) == len(elements)
    for mark in (mark for marks in layout.elements for mark in marks):
        left, right, top, bottom = extent(mark)
        assert left >= MARGIN - SPARE
        assert right <= WIDTH - MARGIN + SPARE
        assert top > MARGIN
        assert bottom <= BOTTOM + 1


def test_few_points_are_large_and_many_are_small():
    few = set_slide(Point("one"), Point("two"))
    many = set_slide(*[Point(f"point number {number} of a list that is too long " * 2) for number in range(12)])

    def size(layout):
        return next(mark.size for mark in layout.elements[0] if isinstance(mark, Words))

    assert size(few) > 30 > size(many)


def test_a_title_alone_is_a_cover():
    layout = set_slide(title="A whole film")

    (title,) = [mark for mark in layout.always if isinstance(mark, Words) and mark.text == "A whole film"]
    assert title.size == 76
    assert layout.elements == ()


def test_a_picture_stands_beside_text_in_its_proportions():
    ((point, words), (shown,)) = set_slide(Point("Red"), Picture("a.png", "")).elements

    assert isinstance(point, Box)
    assert isinstance(words, Words)
    assert isinstance(shown, Shown)
    assert shown.width / shown.height == pytest.approx(4 / 3)
    assert extent(words)[1] < shown.x


def test_many_pictures_share_the_height():
    shown = [mark for (*_, mark) in set_slide(Point("Red"), *[Picture("a.png", "")] * 39).elements[1:]]

    assert all(mark.height > 1 for mark in shown if isinstance(mark, Shown))
    assert all(above.y + above.height < below.y for above, below in pairwise(shown) if isinstance(above, Shown))


def test_an_empty_line_of_code_is_a_line():
    ((panel, *lines),) = set_slide(Code("one\n\nthree")).elements
    views = list(Painter(THEMES["light"], FONTS, 480).views(set_slide(Code("one\n\nthree"))))

    assert isinstance(panel, Box)
    assert [line.text for line in lines if isinstance(line, Words)] == ["one", "", "three"]
    assert len(views) == 2


def test_a_cell_too_narrow_for_anything_is_empty():
    ((*marks,),) = set_slide(Table((("i", "x" * 900, *["x" * 300] * 6),))).elements

    assert "" in [mark.text for mark in marks if isinstance(mark, Words)]


def test_two_pictures_alone_stand_side_by_side():
    ((left,), (right,)) = set_slide(Picture("a.png", ""), Picture("a.png", "")).elements

    assert isinstance(left, Shown)
    assert isinstance(right, Shown)
    assert (left.y, left.width) == (right.y, right.width)
    assert MARGIN <= left.x < left.x + left.width < right.x < right.x + right.width <= WIDTH - MARGIN
    assert left.width > (WIDTH - 2 * MARGIN) / 3


def test_a_picture_begins_where_the_text_beside_it_begins():
    ((_, words), (shown,)) = set_slide(Point("Red"), Picture("a.png", "")).elements

    assert isinstance(shown, Shown)
    assert extent(words)[2] <= shown.y < extent(words)[3] - words.size / 2


def test_what_is_read_from_right_to_left_stands_at_the_right():
    ((dot, words),) = set_slide(Point(ARABIC), title=ARABIC).elements

    assert isinstance(dot, Box)
    assert isinstance(words, Words)
    assert not words.rightward
    assert words.x < dot.x <= WIDTH - MARGIN


@pytest.mark.parametrize(
    "words", ["one two three four five six seven " * 5, "x" * 300, "茶葉、水。" * 40, "ab שלום " * 30]
)
def test_lines_are_no_longer_than_they_may_be_and_nothing_is_lost(words):
    lines = text.wrap(words, STYLE, 400)

    assert len(lines) > 1
    assert all(text.measure(line, STYLE) <= 401 for line in lines)
    assert "".join(lines).replace(" ", "") == words.replace(" ", "")


def test_no_line_begins_with_a_mark_that_closes():
    lines = text.wrap("茶葉、水。" * 40, STYLE, 400)

    assert not any(line.startswith(("、", "。")) for line in lines)


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("ab שלום cd", ["ab ", "שלום", " cd"]),
        ("שלום 12 עולם", [" עולם", "12", "שלום "]),
        ("ab אב 12 גד cd", ["ab ", "אב 12 גד", " cd"]),
    ],
)
def test_words_of_the_other_direction_stand_where_they_are_read(line, order):
    placed = groupby(text.in_sight(line, ONE_FACE), key=lambda run: run.rtl)

    assert ["".join(run.text for run in group) for _, group in placed] == order


def test_marks_above_a_letter_stay_with_it():
    faces = {run.face for run in text.runs("يُصنع", STYLE)}

    assert len(faces) == 1


@pytest.mark.parametrize(("width", "height"), [(854, 480), (1280, 720), (1920, 1080)])
@pytest.mark.parametrize("name", THEMES)
def test_a_slide_is_painted_once_for_each_thing_that_appears(name, width, height):
    layout = set_slide(Point("One 🎉"), Code("x = 1"), Picture("a.png", ""), title=ARABIC)

    views = list(Painter(theme(name, "#00ff00"), FONTS, height).views(layout))

    assert {view.size for view in views} == {(width, height)}
    assert len({view.tobytes() for view in views}) == len(views) == 4
    assert views[0].getpixel((20, 20)) == ImageColor.getrgb(THEMES[name].paper)
    assert (255, 0, 0) in colours(views[3])


@pytest.fixture
def without_fontconfig(monkeypatch, tmp_path):
    """A machine that has no fontconfig, and no fonts where they usually are."""
    for cached in (fonts._matched, fonts._usual):
        cached.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fonts, "FOLDERS", (tmp_path,))
    yield
    for cached in (fonts._matched, fonts._usual):
        cached.cache_clear()


@pytest.mark.usefixtures("without_fontconfig")
def test_without_any_font_the_slides_can_be_read_still():
    bare = Fonts("en")

    layout = set_slide(Point("One"), title="Tea 茶", fonts=bare)
    *_, view = Painter(THEMES["light"], bare, 480).views(layout)

    assert bare.primary("bold") == fonts.Face()
    assert bare.lacking == {"茶"}
    assert len(colours(view)) > 20


def test_a_character_is_shown_in_a_font_that_has_it():
    if shutil.which("fc-match") is None:
        pytest.skip("fontconfig is not installed, so there is one font only")
    face = FONTS.face("ش", "regular")

    assert fonts.has(face, "ش")
    assert not fonts.has(FONTS.primary("regular"), fonts.NOWHERE)


@pytest.fixture
def emoji():
    """The face of emoji."""
    if not (found := fonts._emoji()):
        pytest.skip("NO EMOJI FONT IS INSTALLED: nothing tells emoji from letters. Install fonts-noto-color-emoji.")
    return found


@pytest.mark.parametrize("sign", ["🍵", "☕", "⚡", "✅", "❤\ufe0f", "1\ufe0f\u20e3", "☝🏽", "👩🏽\u200d🌾", "🇯🇵"])
def test_emoji_are_pictures_and_each_is_one(sign, emoji):
    assert [(run.text, run.face) for run in text.runs(f"a{sign}b", STYLE)][1:-1] == [(sign, emoji)]


@pytest.mark.parametrize("sign", ["1", "❤", "☎", "☕\ufe0e", "→", "a\ufe0f"])
def test_what_only_looks_like_one_is_a_letter(sign, emoji):
    assert [run for run in text.runs(sign, STYLE) if run.face == emoji] == []
