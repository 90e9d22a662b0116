"""Makes a film, step by step, in a hidden directory of the task; what is whole is moved beside it.

However it ends, nothing half made is left.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image

from progresshub.jobs import languages
from progresshub.jobs.film import author, encoding, markdown, pictures, sound, speech, subtitles, timeline
from progresshub.jobs.film.bar import Bar
from progresshub.jobs.film.completion import Model
from progresshub.jobs.film.deck import Deck, Picture, look_s
from progresshub.jobs.film.failures import Unfit
from progresshub.jobs.film.fonts import Fonts
from progresshub.jobs.film.layout import Footer, Setter
from progresshub.jobs.film.narration import Line, narrate
from progresshub.jobs.film.painting import Painter
from progresshub.jobs.film.telling import content_data, file_name, script_data
from progresshub.jobs.film.themes import theme
from progresshub.jobs.film.timeline import Passage
from progresshub.jobs.functions import Context
from progresshub.jobs.languages import Language
from progresshub.jobs.video import Result, Video
from progresshub.settings import Video as Settings

WORKSHOP = ".film"
MOST_UNSHOWN = 40
SIDE_FILES = ("content.json", "script.json", "subtitles.vtt", "subtitles.srt")

Lines = list[tuple[Line, ...]]


def make(ctx: Context, request: Mapping[str, Any], settings: Mapping[str, Any]) -> Result:
    """Make what `request` (a checked payload of the kind) asks for."""
    bar = Bar(ctx.progress, ctx.steps, ctx.step)
    asked, held = msgspec.convert(request, Video), msgspec.convert(settings, Settings)
    try:
        with _workshop(ctx.directory) as workshop:
            film = _Film(asked, held, bar, ctx.directory, workshop)
            result = film.make()
            if film.unshown:
                ctx.log(f"no font of this machine has {film.unshown}; a box stands in place of each")
            return result
    except Unfit as error:
        ctx.fail(str(error), retry=error.retry, error_type=error.error_type)
    except OSError as error:
        ctx.fail(f"the film can't be written: {error.strerror}", retry=True, error_type="storage")


@contextmanager
def _workshop(directory: Path) -> Iterator[Path]:
    """A directory for what is only needed on the way."""
    workshop = directory / WORKSHOP
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(mode=0o700)
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


class _Film:
    """One film on its way. Each method is one of the steps, and takes what the steps before it made."""

    def __init__(self, asked: Video, settings: Settings, bar: Bar, directory: Path, workshop: Path) -> None:
        self._asked = asked
        self._settings = settings
        self._bar = bar
        self._directory = directory
        self._workshop = workshop
        self._timings_s: dict[str, float] = {}
        self.unshown = ""

    def make(self) -> Result:
        language = _language(self._asked.language)
        with self._step("content"):
            deck = self._content(language)
        with self._step("scripts"):
            lines = self._scripts(deck)
        with self._step("audio"):
            passages = self._audio(deck, lines, language)
        with self._step("visuals"):
            views = self._visuals(deck, passages, language)
        with self._step("composition"):
            video = self._composition(deck, passages, views, language)
        return self._finished(deck, passages, language, video)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started_s = time.monotonic()
        with self._bar.step(name):
            yield
        self._timings_s[name] = round(time.monotonic() - started_s, 3)

    def _content(self, language: Language) -> Deck:
        self._bar.say(0, "generating_content", "📝 Generating presentation content...")
        topic = markdown.clean(self._asked.topic)
        if self._asked.content.strip():
            deck = markdown.deck(topic, self._asked.content, self._settings.max_slides)
        else:
            deck = self._written(topic, language)
        pictures.check(deck, self._asked.images)
        return deck

    def _written(self, topic: str, language: Language) -> Deck:
        """The deck that a language model writes."""
        count = self._asked.num_slides

        def hear(begun: int) -> None:
            self._bar.say(begun / count, message=f"📝 Writing slide {begun}/{count}...")

        ask = Model(self._settings).ask
        tone = markdown.clean(self._asked.tone)
        return author.write(ask, topic, count, language=language.name, tone=tone, hear=hear)

    def _scripts(self, deck: Deck) -> Lines:
        self._bar.say(0, "generating_scripts", "📜 Generating voice scripts...")
        return [narrate(slide) for slide in deck.slides]

    def _audio(self, deck: Deck, lines: Lines, language: Language) -> list[Passage]:
        settings = self._settings
        self._bar.say(0, "generating_audio", f"🎤 Generating audio for slide 1/{len(lines)}...")
        voice = speech.choose(language, self._asked.voice, settings.piper_voices, settings.words_per_min)
        passages, clips = list[Passage](), dict[tuple[int, int], sound.Clip]()
        for slide, said in enumerate(lines):
            of = f"slide {slide + 1}/{len(lines)}"
            self._bar.say(slide / len(lines), "generating_audio", f"🎤 Generating audio for {of}...")
            for number, line in enumerate(said):
                path = self._workshop / f"{slide}-{number}.wav"
                spoken = languages.of_text(line.text, language)
                (voice if spoken is language else voice.of(spoken)).say(line.text, path)
                clips[slide, number] = sound.clip(path)
                self._bar.say((slide + (number + 1) / len(said)) / len(lines))
            durations_s = [clips[slide, number].duration_s for number in range(len(said))]
            looks_s = list(map(look_s, deck.slides[slide].elements))
            passages.append(timeline.passage(passages[-1].end_s if passages else 0.0, said, durations_s, looks_s))
            self._check_duration(passages[-1].end_s)
            duration_s = passages[-1].duration_s
            self._bar.say((slide + 1) / len(lines), message=f"✅ Generated audio for {of} ({duration_s:.1f}s)")
        self._bar.say(1, "combining_audio", "🎵 Merging audio tracks...")
        sound.combine(self._workshop / "track.wav", passages, clips)
        return passages

    def _check_duration(self, second: float) -> None:
        if second > self._settings.max_duration_s:
            raise Unfit(f"the film is longer than {self._settings.max_duration_s:g} s; give it less text", "too_long")

    def _visuals(self, deck: Deck, passages: list[Passage], language: Language) -> list[encoding.View]:
        self._bar.say(0, "generating_media", "🎨 Generating slide visuals...")
        settings, count = self._settings, len(deck.slides)
        fonts = Fonts(language.code, settings.font)
        painter = Painter(theme(self._asked.theme or settings.theme, settings.accent), fonts, settings.height)
        views = list[encoding.View]()
        for number, (slide, passage) in enumerate(zip(deck.slides, passages, strict=True), 1):
            of = f"slide {number}/{count}"
            tell = partial(self._bar.say, (number - 1) / count)
            if slide.pictures:
                tell("fetching_image", f"🖼️ Loading images for {of}...")
            shown = {picture.name: self._picture(picture) for picture in slide.pictures}
            if len(slide.elements) > 1:
                tell("generating_animation", f"✨ Rendering animation for {of}...")
            else:
                tell("generating_slide", f"📄 Creating {of}...")
            layout = Setter(fonts, shown).set(slide, Footer(deck.topic, number, count))
            wanted = dict(passage.views())
            for seen, image in enumerate(painter.views(layout)):
                if seen in wanted:
                    path = self._workshop / f"{number}-{seen}.png"
                    image.save(path, compress_level=1)
                    views.append(encoding.View(path, wanted[seen]))
            self._bar.say(number / count, message=f"✅ Created {of}")
        self.unshown = "".join(sorted(fonts.lacking))[:MOST_UNSHOWN]
        return views

    def _composition(self, deck: Deck, passages: list[Passage], views: list[encoding.View], language: Language) -> Path:
        self._bar.say(0, "composing_video", "🎞️ Composing final video with audio...")
        duration_s, workshop = passages[-1].end_s, self._workshop
        cues = subtitles.cues(passages)
        reel = encoding.Reel(*(workshop / name for name in ("views.txt", "track.wav", "chapters.txt", "subtitles.vtt")))
        reel.pictures.write_text(encoding.list_of(views))
        reel.subtitles.write_text(subtitles.vtt(cues))
        (workshop / "subtitles.srt").write_text(subtitles.srt(cues))
        reel.chapters.write_text(subtitles.chapters(deck.topic, passages, [slide.title for slide in deck.slides]))
        video = workshop / file_name(deck.topic)
        encoding.encode(reel, video, duration_s=duration_s, language=language.iso, hear=self._bar.say)
        self._bar.say(1, message="✅ Composed the video")
        return video

    def _finished(self, deck: Deck, passages: list[Passage], language: Language, video: Path) -> Result:
        """Move what is whole to where it is offered, the film last."""
        content = content_data(deck, passages)
        script = script_data(deck.topic, language.name, passages)
        (self._workshop / "content.json").write_bytes(msgspec.json.encode(content))
        (self._workshop / "script.json").write_bytes(msgspec.json.encode(script))
        for name in (*SIDE_FILES, video.name):
            (self._workshop / name).replace(self._directory / name)
        return Result(
            content_data=content,
            script_data=script,
            video=video.name,
            files=[video.name, *SIDE_FILES],
            duration_s=script.total_duration,
            size_bytes=(self._directory / video.name).stat().st_size,
            timings_s=self._timings_s,
        )

    def _picture(self, picture: Picture) -> Image.Image:
        return pictures.load(self._directory, picture, self._settings.image_bytes, self._settings.image_pixels)


def _language(asked: str) -> Language:
    found = languages.find(asked)
    if found is None:
        raise Unfit(f"the language {asked!r} is not known", "language")
    return found
