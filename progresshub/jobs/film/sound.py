"""The sound track: the sentences at their places, and silence between them.

Everything is written piece by piece, so that a long film needs no more memory than a short one.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from progresshub.jobs.film.failures import Unfit
from progresshub.jobs.film.timeline import Passage

PIECE_FRAMES = 65_536
DEFAULT_RATE = 22_050


class Clip(NamedTuple):
    """What was said of one sentence; without a `path` it is a silence."""

    path: Path | None
    duration_s: float


SILENCE_S = 1.0


def clip(path: Path) -> Clip:
    """The clip that a voice wrote, or did not."""
    if not path.exists():
        return Clip(None, SILENCE_S)
    try:
        with wave.open(str(path)) as sound:
            return Clip(path, sound.getnframes() / sound.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise Unfit(f"the voice wrote no sound: {error}", "speech") from None


def combine(track: Path, passages: Iterable[Passage], clips: Mapping[tuple[int, int], Clip]) -> None:
    """Write the track; `clips` are found by the numbers of their slide and sentence, from 0."""
    rate = next((_rate(each.path) for each in clips.values() if each.path is not None), DEFAULT_RATE)
    with wave.open(str(track), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        for slide, passage in enumerate(passages):
            for number, sentence in enumerate(passage.sentences):
                _be_silent_until(sound, sentence.start_s)
                _append(sound, clips[slide, number])
            _be_silent_until(sound, passage.end_s)


def _rate(path: Path) -> int:
    with wave.open(str(path)) as sound:
        rate: int = sound.getframerate()
        return rate


def _be_silent_until(sound: wave.Wave_write, second: float) -> None:
    missing = round(second * sound.getframerate()) - sound.tell()
    while missing > 0:
        frames = min(missing, PIECE_FRAMES)
        sound.writeframes(bytes(2 * frames))
        missing -= frames


def _append(sound: wave.Wave_write, said: Clip) -> None:
    if said.path is None:
        return
    with wave.open(str(said.path)) as source:
        if (source.getnchannels(), source.getsampwidth(), source.getframerate()) != (1, 2, sound.getframerate()):
            raise Unfit("the voice changed its format from one sentence to the next", "speech")
        while frames := source.readframes(PIECE_FRAMES):
            sound.writeframes(frames)
