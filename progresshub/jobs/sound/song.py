"""One song from its file to its stems, words and beats: four steps, each telling how far it is.

What a step makes is written at once, and its result told with its end. Without a rhythm or words in it a
song is still a song: then those steps fail and the task does not.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from progresshub.jobs import audio
from progresshub.jobs.audio import Beats, FileInfo, Separation, Song, SongResult, Transcription
from progresshub.jobs.functions import Context
from progresshub.jobs.sound.decoding import decode, look
from progresshub.jobs.sound.engines import engine_for
from progresshub.jobs.sound.failures import Unfit, Unheard
from progresshub.jobs.sound.rhythm import Rhythm, analysis_file, beats_file, onsets_file, rhythm_of
from progresshub.jobs.sound.separation import Engine, separate
from progresshub.jobs.sound.stemfiles import SAMPLE_BYTES, StemFiles
from progresshub.jobs.sound.words import transcribe, why_not
from progresshub.report import Step
from progresshub.settings import Audio as Settings

WEIGHTS = dict(zip(audio.STEPS, (4.0, 70.0, 60.0, 12.0), strict=True))
NOT_ASKED = "it was not asked for"


@dataclass
class Work:
    """One song being worked on."""

    ctx: Context
    song: Song
    settings: Settings
    path: Path
    output_files: list[str] = field(default_factory=list)
    processing_s: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return audio.output_name(msgspec.structs.asdict(self.song))

    @property
    def whisper_model(self) -> str:
        return self.song.whisper_model or self.settings.whisper_model

    def why_no_words(self) -> str:
        return why_not(self.settings.whisper_models, self.whisper_model)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        started_s = time.monotonic()
        with self.ctx.step(name) as step:
            try:
                yield step
            except Unfit as unfit:
                step.fail(str(unfit))
                raise
            finally:
                self.processing_s[name] = round(time.monotonic() - started_s, 3)

    def tell(self, share: float) -> None:
        """How much of the running step is done, from 0 to 1."""
        self.ctx.progress(round(100 * share, 2))

    def save(self, ending: str, content: Mapping[str, Any]) -> str:
        """Write a file of ours as a whole, and return its name."""
        name = f"{self.name}_{ending}.json"
        hidden = self.ctx.directory / f".{name}.part"
        hidden.write_bytes(msgspec.json.encode(content))
        hidden.replace(self.ctx.directory / name)
        self.output_files.append(name)
        return name


def take_apart(ctx: Context, song: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Do what `song` (a checked payload of the kind) asks for, within `settings`, which are those of `[audio]`."""
    asked, known = msgspec.convert(song, Song), msgspec.convert(settings, Settings)
    ctx.pace(known.reports_per_s)
    work = Work(ctx, asked, known, Path(asked.path) if asked.path else ctx.directory / (asked.file or ""))
    ctx.steps({name: 0.0 if _why_skipped(work, name) else weight for name, weight in WEIGHTS.items()})
    try:
        info = _validate(work)
        separation = _separate(work, info)
        transcription = _transcribe(work, info, separation)
        beats = _find_beats(work, info, separation)
    except Unfit as unfit:
        ctx.fail(str(unfit), unfit.retry, unfit.error_type)
    result = SongResult(
        file_info=info,
        engine=separation.engine,
        stem_separation=separation,
        transcription=transcription,
        beat_analysis=beats,
        output_files=work.output_files,
        processing_s={name: s for name, s in work.processing_s.items() if not _why_skipped(work, name)},
    )
    built: dict[str, Any] = msgspec.to_builtins(result)
    return built


def _why_skipped(work: Work, step: str) -> str:
    if step == "stem_separation":
        return "" if work.song.enable_vocals_extraction else NOT_ASKED
    if step == "beat_analysis":
        return "" if work.song.enable_beat_tracking else NOT_ASKED
    return work.why_no_words() if step == "transcription" else ""


def _validate(work: Work) -> FileInfo:
    longest_s, channels = work.settings.max_duration_s, work.settings.max_channels
    with work.step("validation") as step:
        _check_place(work)
        info = look(work.path, max_duration_s=longest_s, max_channels=channels, on_progress=work.tell)
        step.keep(msgspec.to_builtins(info))
    return info


def _check_place(work: Work) -> None:
    """No link leads out of where songs may be."""
    tops = [Path(root) for root in work.settings.roots] if work.song.path else [work.ctx.directory]
    real = Path(os.path.realpath(work.path))
    if not real.is_file() or not any(real.is_relative_to(os.path.realpath(top)) for top in tops):
        raise Unfit(f"there is no file {work.song.path or work.song.file}", "no_file")


def _separate(work: Work, info: FileInfo) -> Separation:
    with work.step("stem_separation") as step:
        if reason := _why_skipped(work, "stem_separation"):
            step.skip(reason)
            return Separation(skipped=True, reason=reason)
        engine = engine_for(work.settings, work.song.demucs_model)
        with _in_words():
            names = _write_stems(work, info, engine)
        work.output_files.extend(names.values())
        separation = msgspec.convert({**names, "engine": engine.name}, Separation)
        step.keep(msgspec.to_builtins(separation))
    return separation


def _write_stems(work: Work, info: FileInfo, engine: Engine) -> dict[str, str]:
    rate_hz = engine.rate_hz or work.song.audio_sample_rate or min(info.sample_rate, audio.MAX_RATE_HZ)
    channels = engine.channels or min(info.channels, 2)
    _check_room(work, info.duration_s * rate_hz * channels * SAMPLE_BYTES * len(audio.STEMS))
    pieces = decode(work.path, rate_hz=rate_hz, channels=channels, most_s=info.duration_s + 1)
    with StemFiles(work.ctx.directory, work.name, rate_hz=rate_hz, channels=channels) as files:
        for stretch in separate(pieces, engine, rate_hz):
            files.write(stretch.mix, stretch.stems)
            work.tell(min(1.0, stretch.samples / rate_hz / info.duration_s))
    return files.names


def _transcribe(work: Work, info: FileInfo, separation: Separation) -> Transcription:
    with work.step("transcription") as step:
        if reason := _why_skipped(work, "transcription"):
            step.skip(reason)
            return Transcription(skipped=True, reason=reason)
        path = work.ctx.directory / separation.vocals if separation.vocals else work.path
        model = Path(work.settings.whisper_models, work.whisper_model)
        try:
            found = transcribe(path, model, work.song.language, info.duration_s, work.tell)
        except (RuntimeError, ValueError, OSError) as error:
            step.fail(f"the words could not be had: {error}")
            return Transcription(error=str(error))
        file = work.save("transcription", found)
        done = Transcription(file=file, language=found["language"], word_count=found["word_count"])
        step.keep(msgspec.to_builtins(done))
    return done


def _find_beats(work: Work, info: FileInfo, separation: Separation) -> Beats:
    with work.step("beat_analysis") as step:
        if reason := _why_skipped(work, "beat_analysis"):
            step.skip(reason)
            return Beats(skipped=True, reason=reason)
        try:
            drums = work.ctx.directory / separation.drums if separation.drums else None
            found = rhythm_of(work.path, drums, info, work.tell)
        except Unheard as unheard:
            step.fail(str(unheard))
            return Beats(error=str(unheard))
        with _in_words():
            beats = _told(work, found, info)
        step.keep(msgspec.to_builtins(beats))
    return beats


def _told(work: Work, found: Rhythm, info: FileInfo) -> Beats:
    onsets = onsets_file(found, info)
    return Beats(
        tempo_bpm=found.tempo_bpm,
        beat_count=len(found.beats.frames),
        onset_count=onsets["onset_count"],
        time_signature=found.metre.signature,
        beat_confidence=found.confidence,
        rhythm_regularity=found.regularity,
        beats_file=work.save("beats", beats_file(found, info)),
        onsets_file=work.save("onsets", onsets),
        analysis_file=work.save("analysis", analysis_file(found, info)),
    )


def _check_room(work: Work, wanted_bytes: float) -> None:
    free_bytes = shutil.disk_usage(work.ctx.directory).free
    if free_bytes - wanted_bytes < work.settings.min_free_bytes:
        raise Unfit(
            f"the stems take {wanted_bytes / 1e6:.0f} MB, the disk has {free_bytes / 1e6:.0f} MB free, and "
            f"{work.settings.min_free_bytes / 1e6:.0f} MB are to stay free",
            "storage_full",
            retry=True,
        )


@contextmanager
def _in_words() -> Iterator[None]:
    """A disk that fills up is no surprise."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unfit("there is no space left on the disk", "storage_full", retry=True) from None
