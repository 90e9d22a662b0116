"""What a topic is called, whoever calls it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from progresshub.jobs.topics import RESERVED, generation_id, names

TOPICS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def in_a_browser(topic: str) -> str:
    """What JavaScript's `topic.slice(0, 30)` gives, character by character, as it comes out of an address."""
    kept, units = [], 0
    for character in topic:
        size = 2 if ord(character) > 0xFFFF else 1
        if units + size > 30:
            kept.append("\ufffd" if units < 30 else "")
            break
        kept.append(character)
        units += size
    return "".join("_" if one == " " else "" if one in "/\\:\"'?!" else one for one in "".join(kept))


@pytest.mark.parametrize(
    ("topic", "known"),
    [
        ("Introduction to Machine Learning", "Introduction_to_Machine_Learn"),
        ("Tea", "Tea"),
        ('What\'s new: C++ and/or \\ "Rust"?!', "Whats_new_C++_and_or___Rust"),
        ("مقدمة في تعلم الآلة", "مقدمة_في_تعلم_الآلة"),
        ("tasks", "tasks_video"),
        ("stream!", "stream_video"),
        ("?!", "_video"),
        ("..", ".._video"),
    ],
)
def test_an_id_is_what_has_always_been_made_of_a_topic(topic: str, known: str) -> None:
    assert generation_id(topic) == known


def test_the_long_form_and_that_of_browsers_lead_to_the_same() -> None:
    assert names("What's new in C++/Rust? A tour of things") == (
        "Whats_new_in_C++_Rust_A_tour_",
        "Whats_new_in_C++_Rust_A_tour_o",
        "Whats_new_in_C++Rust_A_tour",
    )


def test_a_name_that_means_something_else_still_leads_there() -> None:
    assert names("tasks") == ("tasks_video", "tasks")


@given(TOPICS)
@example("😀" * 31)
@example("a" * 29 + "😀")
def test_every_topic_has_an_id_that_fits_into_an_address(topic: str) -> None:
    known = generation_id(topic)

    assert 1 <= len(known) <= 35
    assert known not in RESERVED
    assert not set(known) & set(" /\\:\"'?!")
    assert generation_id(known) == known or known.removesuffix("_video") in RESERVED


@given(TOPICS)
@example("a" * 29 + "😀")
@example("a" * 28 + "/😀")
def test_the_names_of_a_topic_are_all_that_clients_make_of_it(topic: str) -> None:
    known = names(topic)

    assert known[0] == generation_id(topic)
    assert in_a_browser(topic) in known or in_a_browser(topic) == ""
    assert "" not in known
    assert len(set(known)) == len(known) <= 3
