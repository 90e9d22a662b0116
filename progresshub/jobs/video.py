"""The kind `video`, the server's half: a topic or a text becomes a narrated film of slides.

Nothing heavy is imported here: the work is done in `jobs.film`, by a worker. What is missing for it on
this machine is told before a task is taken.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from progresshub.errors import InvalidPayload, Unavailable
from progresshub.jobs import languages, topics
from progresshub.jobs.payload import UPLOADED, read, schema_of
from progresshub.kinds import Call, Kind, Lane
from progresshub.model import Task
from progresshub.settings import Video as VideoSettings

KIND = "video"
TIMEOUT_MS = 6 * 3_600_000
STEPS = ("content", "scripts", "audio", "visuals", "composition")
PACKAGES = {"PIL": "Pillow", "markdown_it": "markdown-it-py"}
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}")


class Video(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request: what the film is to be about, or the text that it is made from."""

    topic: Annotated[str, Meta(min_length=1, max_length=200, description="What it is about; also its title")]
    num_slides: Annotated[int, Meta(ge=1, le=50, description="Slides to write; `content` has its own")] = 5
    language: Annotated[str, Meta(max_length=40, description="What is spoken: english, or a code such as en")] = (
        "english"
    )
    tone: Annotated[str, Meta(max_length=60, description="How it is said, where a model writes it")] = "formal"
    content: Annotated[str, Meta(max_length=100_000, description="The slides as Markdown, one for each heading")] = ""
    theme: Annotated[Literal["light", "dark"] | None, Meta(description="Colours; left out, those of the settings")] = (
        None
    )
    voice: (
        Annotated[str, Meta(max_length=64, pattern=r"^[\w+-]+\Z", description="A voice of piper or espeak-ng")] | None
    ) = None
    images: Annotated[
        list[str], Meta(max_length=50, description="Uploaded pictures that the Markdown shows"), UPLOADED
    ] = []


class ContentSlide(Struct, frozen=True, kw_only=True):
    """A slide as it is seen. `duration` is in seconds, and 0 until it has been spoken."""

    slide_number: int
    title: str
    content_text: str
    needs_image: bool = False
    image_keyword: str = ""
    needs_animation: bool = False
    animation_description: str = ""
    duration: float = 0.0


class ContentData(Struct, frozen=True, kw_only=True):
    topic: str
    total_slides: int
    slides: list[ContentSlide]


class SlideScript(Struct, frozen=True, kw_only=True):
    """What is said while a slide is seen; times in seconds of the film."""

    slide_number: int
    start_time: float
    end_time: float
    narration_text: str


class ScriptData(Struct, frozen=True, kw_only=True):
    topic: str
    total_duration: float
    language: str
    slide_scripts: list[SlideScript]


class Result(Struct, frozen=True, kw_only=True):
    """A task's result. `video` is a file of the task, as are `files`; `timings_s` tells how long each step took."""

    content_data: ContentData
    script_data: ScriptData
    video: str
    files: list[str]
    duration_s: float
    size_bytes: int
    timings_s: dict[str, float]


def kind(settings: VideoSettings) -> Kind:
    limits = msgspec.to_builtins(settings)

    def launch(task: Task) -> Call:
        arguments = {"request": task.spec.payload, "settings": limits}
        return Call(pool=KIND, target="progresshub.jobs.film.making:make", arguments=arguments, fresh=True)

    return Kind(
        name=KIND,
        summary="Makes a narrated film of slides out of Markdown or, with a language model, of a topic",
        schema=schema_of(Video),
        check=lambda payload: _check(payload, settings),
        launch=launch,
        title=lambda payload: str(payload["topic"]),
        timeout_ms=TIMEOUT_MS,
        max_retries=1,
        min_free_bytes=settings.min_free_bytes,
        lane_of=lambda payload: Lane(f"film {topics.generation_id(payload['topic'])}", 1),
        names_of=lambda payload: topics.names(payload["topic"]),
    )


def missing(settings: VideoSettings) -> list[str]:
    """What this machine lacks to make films, each as people would install it; nothing is imported."""
    lacking = ["progresshub[video]"] if not all(map(find_spec, PACKAGES)) else []
    lacking += [] if shutil.which("ffmpeg") else ["ffmpeg"]
    speaks = shutil.which("espeak-ng") or (settings.piper_voices and shutil.which("piper"))
    return lacking if speaks else [*lacking, "espeak-ng"]


def _check(payload: Mapping[str, Any], settings: VideoSettings) -> dict[str, Any]:
    asked = read(KIND, Video, payload)
    if reason := _wrong_with(asked, settings):
        raise InvalidPayload(kind=KIND, reason=reason)
    if lacking := missing(settings):
        raise Unavailable(reason=f"films can't be made before this is installed: {', '.join(lacking)}")
    filled: dict[str, Any] = msgspec.to_builtins(asked)
    return filled


def _wrong_with(asked: Video, settings: VideoSettings) -> str:
    if not asked.topic.strip():
        return "topic: it is empty"
    if asked.num_slides > settings.max_slides:
        return f"num_slides: the most are {settings.max_slides}"
    if languages.find(asked.language) is None:
        return f"language: {asked.language[:40]!r} is none of {', '.join(languages.NAMES)}"
    if not asked.content.strip() and not settings.llm_url:
        return (
            "content: give the slides as Markdown, one for each heading; or have the server name a language model"
            " that writes them (video.llm_url and video.llm_model in its settings)"
        )
    return _wrong_with_images(asked.images)


def _wrong_with_images(names: list[str]) -> str:
    for name in names:
        if not _NAME.fullmatch(name) or name.startswith("."):
            return f"images: {name[:80]!r} is not the bare name of a file"
        if not name.lower().endswith(PICTURES):
            return f"images: {name[:80]!r} is none of {' '.join(PICTURES)}"
    return "" if len(set(names)) == len(names) else "images: a name is there twice"
