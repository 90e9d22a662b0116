import pytest

from progresshub.jobs.film import timeline
from progresshub.jobs.film.deck import MOST_LOOK_S, Code, Picture, Point, Slide, Table, look_s
from progresshub.jobs.film.narration import SENTENCE_CHARS, Line, narrate, sentences


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Who met Mrs. Hudson, e.g. here. At 3.14 p.m. or so.", 2),
        ("He said “stop.” Then he left.", 2),
        ("第一句。第二句。第三句", ["第一句。", "第二句。", "第三句"]),
        ("ما هذا؟ هذا شاي.", ["ما هذا؟", "هذا شاي."]),
        ("", []),
    ],
)
def test_a_text_is_said_in_sentences(text, found):
    said = sentences(text)

    assert len(said) == found if isinstance(found, int) else said == found


def test_a_sentence_without_end_is_said_in_pieces_and_nothing_of_it_is_lost():
    text = ", ".join(f"word{number}" for number in range(300))

    said = sentences(text)

    assert all(len(piece) <= SENTENCE_CHARS for piece in said)
    assert " ".join(said).split() == text.split()


def test_title_and_points_are_read_out_and_each_is_seen_when_it_is_said():
    slide = Slide("Tea", (Point("Hot"), Point("Good! Really")))

    assert narrate(slide) == (Line("Tea.", 0), Line("Hot.", 1), Line("Good!", 2), Line("Really.", 2))


def test_what_nothing_is_said_to_is_seen_with_what_stands_before_it():
    slide = Slide("Tea", (Code("x"), Point("Hot"), Picture("a.png", "a"), Point("Good")))

    assert [line.shown for line in narrate(slide)] == [1, 3, 4]


@pytest.mark.parametrize(("said", "shown"), [(1, [4]), (2, [2, 4]), (3, [2, 3, 4]), (6, [1, 2, 2, 3, 4, 4])])
def test_notes_are_said_in_place_of_the_slide_which_comes_into_sight_evenly(said, shown):
    slide = Slide("Tea", tuple(map(Point, "abcd")), " ".join(["Said."] * said))

    assert narrate(slide) == tuple(Line("Said.", number) for number in shown)


def test_a_point_comes_with_the_sentence_that_speaks_of_it():
    points = (Point("Leaves are picked"), Point("Leaves wither"), Point("Drying ends it"))
    notes = "It begins early. It is cold. The leaves are picked by hand. Then the leaves wither. All is well."

    assert [line.shown for line in narrate(Slide("Tea", points, notes))] == [0, 0, 1, 3, 3]


def test_everything_is_in_sight_in_the_end():
    slide = Slide("Tea", (Code("x"), Code("y")))

    assert narrate(slide) == (Line("Tea.", 2),)


def test_views_fill_the_time_of_a_slide_without_a_gap():
    lines = [Line("a", 0), Line("b", 1), Line("c", 1), Line("d", 3)]

    passage = timeline.passage(10.0, lines, [1.0, 1.0, 1.0, 1.0])

    assert [shown for shown, _ in passage.views()] == [0, 1, 3]
    assert sum(duration_s for _, duration_s in passage.views()) == pytest.approx(passage.duration_s)
    assert [sentence.start_s for sentence in passage.sentences] == pytest.approx([10.4, 11.7, 13.0, 14.3])
    assert passage.end_s == pytest.approx(16.1)


def test_a_slide_is_seen_for_a_while_even_if_little_is_said():
    assert timeline.passage(0.0, [Line("a", 0)], [0.1]).duration_s == timeline.SHORTEST_S


def test_what_is_only_looked_at_stays_in_sight_for_long_enough():
    lines = [Line("a", 0), Line("b", 2)]

    passage = timeline.passage(10.0, lines, [1.0, 1.0], [0.0, 6.0])

    assert passage.sentences[1].start_s == pytest.approx(11.7)
    assert passage.end_s == pytest.approx(17.7)


def test_a_large_table_is_looked_at_for_longer_than_a_small_one_and_never_for_ever():
    small, large, endless = (Table((("a", "b"),) * rows) for rows in (2, 6, 1_000))

    assert 0 == look_s(Point("Hot")) < look_s(small) < look_s(large) < look_s(endless) == MOST_LOOK_S
    assert look_s(Code("a\nb\nc")) > look_s(Code("a"))
    assert look_s(Picture("a.png", "")) > 0
