"""Tempo, beats, bars and onsets of a song, as the three files that tell of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from progresshub.jobs.audio import FileInfo
from progresshub.jobs.sound.beats import Beats, find
from progresshub.jobs.sound.decoding import decode
from progresshub.jobs.sound.failures import Unheard
from progresshub.jobs.sound.metre import Metre, confidence, metre_of, regularity
from progresshub.jobs.sound.onsets import RATE_HZ, Listener, Onsets

_LISTENING = 0.9


class Rhythm(NamedTuple):
    onsets: Onsets
    beats: Beats
    metre: Metre

    @property
    def tempo_bpm(self) -> float:
        return round(self.beats.tempo_bpm, 2)

    @property
    def confidence(self) -> float:
        return round(confidence(self.beats), 3)

    @property
    def regularity(self) -> float:
        return round(regularity(self.beats), 3)


def rhythm_of(path: Path, drums: Path | None, info: FileInfo, on_progress: Callable[[float], None]) -> Rhythm:
    """Unheard when nothing beats. `drums` is that stem, if there is one: bars are told by it more surely."""
    share = _LISTENING if drums is None else _LISTENING / 2
    onsets = _heard(path, info.duration_s, lambda done: on_progress(share * done))
    if onsets.silent:
        raise Unheard("it is silent")
    beats = find(onsets)
    if beats is None:
        raise Unheard("no beat was found in it")
    if drums is None:
        return Rhythm(onsets, beats, metre_of(beats, onsets, onsets))
    strikes = _heard(drums, info.duration_s, lambda done: on_progress(share + share * done))
    return Rhythm(onsets, beats, metre_of(beats, onsets, onsets if strikes.silent else strikes))


def _heard(path: Path, duration_s: float, on_progress: Callable[[float], None]) -> Onsets:
    listener = Listener()
    heard = 0
    for piece in decode(path, rate_hz=RATE_HZ, channels=1, most_s=duration_s + 1):
        listener.hear(piece[0])
        heard += piece.shape[1]
        on_progress(min(1.0, heard / RATE_HZ / duration_s))
    return listener.end()


def beats_file(rhythm: Rhythm, info: FileInfo) -> dict[str, Any]:
    times_s = _rounded(rhythm.beats.times_s)
    length, downbeat = rhythm.metre
    places = [number - downbeat for number in range(len(times_s))]
    grid = [
        {"time": time_s, "beat": place % length + 1, "bar": place // length + 1 + (downbeat > 0)}
        for time_s, place in zip(times_s, places, strict=True)
    ]
    return {
        "tempo_bpm": rhythm.tempo_bpm,
        "time_signature": rhythm.metre.signature,
        "duration": info.duration_s,
        "beat_count": len(times_s),
        "beat_confidence": rhythm.confidence,
        "beats": times_s,
        "downbeats": [beat["time"] for beat in grid if beat["beat"] == 1],
        "beat_grid": grid,
    }


def onsets_file(rhythm: Rhythm, info: FileInfo) -> dict[str, Any]:
    times_s, strengths = rhythm.onsets.times_s()
    return {
        "duration": info.duration_s,
        "onset_count": len(times_s),
        "onsets": _rounded(times_s),
        "strengths": _rounded(strengths),
    }


def analysis_file(rhythm: Rhythm, info: FileInfo) -> dict[str, Any]:
    apart_s = np.diff(rhythm.beats.times_s)
    times_s, _ = rhythm.onsets.times_s()
    return {
        "tempo_bpm": rhythm.tempo_bpm,
        "time_signature": rhythm.metre.signature,
        "beat_count": len(rhythm.beats.frames),
        "beat_confidence": rhythm.confidence,
        "rhythm_regularity": rhythm.regularity,
        "beat_interval_s": round(float(apart_s.mean()), 4),
        "beat_interval_deviation_s": round(float(apart_s.std()), 4),
        "onset_count": len(times_s),
        "onsets_per_s": round(len(times_s) / info.duration_s, 3),
        "duration": info.duration_s,
        "sample_rate": info.sample_rate,
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in np.maximum(values, 0)]
