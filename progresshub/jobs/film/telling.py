"""What is told of a finished film: its content and its script in the fields that clients know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from progresshub.jobs.film.deck import Code, Deck, Element, Picture, Slide, Table
from progresshub.jobs.film.timeline import Passage
from progresshub.jobs.video import ContentData, ContentSlide, ScriptData, SlideScript

NAME_CHARS = 29
ANIMATION = "What stands on the slide appears as it is spoken of"


def file_name(topic: str) -> str:
    """The topic as the name of a file."""
    name = re.sub(r"[^\w.-]+", "_", topic)[:NAME_CHARS].strip("._-")
    return f"{name or 'film'}.mp4"


def content_data(deck: Deck, passages: Iterable[Passage]) -> ContentData:
    slides = [
        _slide(number, slide, passage)
        for number, (slide, passage) in enumerate(zip(deck.slides, passages, strict=True), 1)
    ]
    return ContentData(topic=deck.topic, total_slides=len(slides), slides=slides)


def script_data(topic: str, language: str, passages: Sequence[Passage]) -> ScriptData:
    scripts = [
        SlideScript(
            slide_number=number,
            start_time=round(passage.start_s, 3),
            end_time=round(passage.end_s, 3),
            narration_text=passage.text,
        )
        for number, passage in enumerate(passages, 1)
    ]
    duration_s = round(passages[-1].end_s, 3)
    return ScriptData(topic=topic, total_duration=duration_s, language=language, slide_scripts=scripts)


def _slide(number: int, slide: Slide, passage: Passage) -> ContentSlide:
    moves = len(slide.elements) > 1
    return ContentSlide(
        slide_number=number,
        title=slide.title,
        content_text="\n".join(filter(None, map(_text, slide.elements))),
        needs_image=bool(slide.pictures),
        image_keyword=", ".join(picture.about or picture.name for picture in slide.pictures),
        needs_animation=moves,
        animation_description=ANIMATION if moves else "",
        duration=round(passage.duration_s, 3),
    )


def _text(element: Element) -> str:
    match element:
        case Picture():
            return ""
        case Table(rows=rows):
            return "\n".join(" | ".join(row) for row in rows)
        case Code(text=text):
            return text
    return element.text
