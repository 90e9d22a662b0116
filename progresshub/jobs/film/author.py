"""Has a language model write a deck about a topic.

What it answers is checked against the shape that was asked for. An answer that does not fit is sent back
once with what is wrong in it; after that the film can't be made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from progresshub.jobs.film.completion import Hear, Messages
from progresshub.jobs.film.deck import Deck, Point, Slide
from progresshub.jobs.film.failures import Unfit
from progresshub.jobs.film.markdown import NOTES_CHARS, TITLE_CHARS, clean
from progresshub.jobs.payload import in_words

Ask = Callable[[Messages, Hear], str]

_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_BEGUN = re.compile(r'"title"\s*:')
_TASK = """\
You write presentations that are shown as a film, with a voice that speaks to each slide.
Answer with one JSON object and nothing else, of this shape:
{{"slides": [{{"title": "...", "points": ["...", "..."], "narration": "..."}}]}}
Write exactly {slides} slides. A title has at most eight words. A slide has two to five points of at most
fifteen words, in plain text. The narration is three to six full sentences for the ear, and follows
the order of the points; it has no markup and no stage directions. Write everything in {language}.
The tone is {tone}."""
_REPAIR = "That does not fit: {reason}. Answer again with the whole JSON object, and nothing else."


class Written(Struct, frozen=True):
    title: Annotated[str, Meta(min_length=1)]
    points: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=12)]
    narration: Annotated[str, Meta(min_length=1)]


class Answer(Struct, frozen=True):
    slides: Annotated[list[Written], Meta(min_length=1)]


class Misfit(Exception):
    """The answer is not what was asked for."""


def write(ask: Ask, topic: str, slides: int, *, language: str, tone: str, hear: Callable[[int], None]) -> Deck:
    """A deck of so many slides; `hear` is told how many of them are begun, from 1."""

    def listen(text: str) -> None:
        if begun := len(_BEGUN.findall(text)):
            hear(min(begun, slides))

    rules = _TASK.format(slides=slides, language=language, tone=tone)
    messages = [{"role": "system", "content": rules}, {"role": "user", "content": f"The topic: {topic}"}]
    answer = ask(messages, listen)
    try:
        return _deck(topic, answer, slides)
    except Misfit as misfit:
        repair = {"role": "user", "content": _REPAIR.format(reason=misfit)}
        again = ask([*messages, {"role": "assistant", "content": answer}, repair], listen)
    try:
        return _deck(topic, again, slides)
    except Misfit as misfit:
        raise Unfit(f"the language model's answer does not fit, asked twice: {misfit}", "llm_answer") from None


def _deck(topic: str, answer: str, slides: int) -> Deck:
    written = _read(answer).slides
    if len(written) < slides:
        raise Misfit(f"there are {len(written)} slides, not {slides}")
    return Deck(topic, tuple(map(_slide, written[:slides])))


def _read(answer: str) -> Answer:
    found = _OBJECT.search(_THOUGHTS.sub("", answer))
    if not found:
        raise Misfit("there is no JSON object in it")
    try:
        return msgspec.json.decode(found[0], type=Answer)
    except msgspec.ValidationError as error:
        raise Misfit(in_words(str(error))) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Misfit(f"it is not JSON: {error}") from None


def _slide(written: Written) -> Slide:
    points = tuple(Point(text) for point in written.points if (text := clean(point)))
    return Slide(clean(written.title, TITLE_CHARS) or "…", points, clean(written.narration, NOTES_CHARS))
