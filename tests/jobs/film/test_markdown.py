import pytest

from progresshub.jobs.film import markdown
from progresshub.jobs.film.deck import Code, Paragraph, Picture, Point, Quote, Table
from progresshub.jobs.film.failures import Unfit


def slides(text, most=50):
    return markdown.deck("Tea", text, most).slides


def test_each_heading_begins_a_slide():
    assert [slide.title for slide in slides("# One\n\n## Two\n\nThree\n=====\n")] == ["One", "Two", "Three"]


def test_what_comes_before_the_first_heading_stands_below_the_topic():
    (first, second) = slides("- hot\n\n# One\n")

    assert (first.title, first.elements) == ("Tea", (Point("hot"),))
    assert second.title == "One"


def test_items_of_lists_are_points_with_their_level_and_number():
    text = "# A\n\n- one **bold**\n  - two [link](http://x)\n    - three `code`\n      - four\n\n7. seven\n8. eight\n"

    (slide,) = slides(text)

    assert slide.elements == (
        Point("one bold"),
        Point("two link", 1),
        Point("three code", 2),
        Point("four", 2),
        Point("seven", 0, "7."),
        Point("eight", 0, "8."),
    )


def test_blocks_are_what_they_are():
    text = "# A\n\ntwo\nlines\n\n> said\n\n```python\nx = 1\n\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"

    (slide,) = slides(text)

    assert slide.elements == (
        Paragraph("two lines"),
        Quote("said"),
        Code("x = 1"),
        Table((("a", "b"), ("1", "2"))),
    )


def test_pictures_are_known_by_their_names_also_within_points():
    (slide,) = slides("# A\n\n![a cup](cup.png)\n\n- look ![](pot.png)\n")

    assert slide.elements == (Picture("cup.png", "a cup"), Point("look"), Picture("pot.png", ""))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("чай.jpg", "чай.jpg"),
        ("<a cup.png>", "a cup.png"),
        ("pictures/cup.png", "cup.png"),
        ("../../etc/passwd", "passwd"),
        ("%2e%2e%2fcup.png", "cup.png"),
        ("pictures/", "pictures/"),
    ],
)
def test_a_picture_is_called_as_its_file_is(address, name):
    (slide,) = slides(f"# A\n\n![]({address})\n")

    assert slide.pictures == (Picture(name, ""),)


@pytest.mark.parametrize("note", ["> Note: said", "> **Notes:** said", "Notes: said", "note : said"])
def test_notes_are_said_and_not_shown(note):
    (slide,) = slides(f"# A\n\n- seen\n\n{note}\n\nNote: and more\n")

    assert (slide.elements, slide.notes) == ((Point("seen"),), "said and more")


def test_raw_html_is_text_and_what_can_not_be_seen_is_gone():
    (slide,) = slides("# A\n\n<script>alert(1)</script>\n\nx\u202ey\x07z\n")

    assert slide.elements == (Paragraph("<script>alert(1)</script>"), Paragraph("x y z"))


def test_too_many_slides_and_none_are_refused():
    with pytest.raises(Unfit, match="3 slides, and the most are 2"):
        slides("# a\n# b\n# c", most=2)
    with pytest.raises(Unfit, match="begin each slide with a heading"):
        slides("[a]: http://x\n")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "> " * 5_000 + "deep",
        "- " * 5_000 + "deep",
        "*a **b " * 5_000,
        "![" * 10_000 + "](x)" * 10_000,
        "`" * 9_999 + "x",
        "| a " * 3_000 + "|\n" + "|---" * 3_000 + "|\n",
        "<" * 20_000,
        "&#0;" * 5_000 + "\x00\ud7ff\uffff",
        "# " + "x" * 100_000,
    ],
    ids=lambda text: text[:6],
)
def test_hostile_text_becomes_slides_within_bounds(text):
    found = slides(f"# A\n\n{text}\n")

    assert 1 <= len(found) <= 2
    for slide in found:
        assert len(slide.title) <= markdown.TITLE_CHARS
        assert len(slide.elements) <= markdown.MOST_ELEMENTS
