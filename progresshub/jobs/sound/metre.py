"""How beats group into bars, and how regular and how sure they are.

An estimate: a bar is what the accents and the harmony repeat after, three beats or four.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from progresshub.jobs.sound.beats import Beats
from progresshub.jobs.sound.onsets import Onsets

BARS = (4, 3)
FEWEST_BARS = 3
_CLEARLY = 0.1
_CLEAR_PULSE = 0.8


class Metre(NamedTuple):
    """`downbeat` is the first beat that begins a bar."""

    beats_a_bar: int
    downbeat: int

    @property
    def signature(self) -> str:
        return f"{self.beats_a_bar}/4"


def metre_of(beats: Beats, onsets: Onsets, drums: Onsets) -> Metre:
    """Four beats a bar, unless three explain the accents clearly better; `drums` are the song's alone, if they can be
    had, else the song's."""
    accents = _accents(beats, onsets, drums)
    if len(accents) < FEWEST_BARS * max(BARS):
        return Metre(4, 0)
    length = 3 if _likeness(accents, 3) > _likeness(accents, 4) + _CLEARLY else 4
    weights = [float(np.mean(accents[first::length])) for first in range(length)]
    return Metre(length, int(np.argmax(weights)))


def regularity(beats: Beats) -> float:
    """1 when all beats are equally far apart, 0 when the distances vary by half of themselves."""
    apart = np.diff(beats.times_s)
    return float(np.clip(1 - 2 * apart.std() / apart.mean(), 0, 1)) if len(apart) > 1 else 0.0


def confidence(beats: Beats) -> float:
    """From 0 to 1: how clear the pulse is, and how regular the beats are."""
    return min(1.0, beats.pulse / _CLEAR_PULSE) * regularity(beats)


def _accents(beats: Beats, onsets: Onsets, drums: Onsets) -> NDArray[np.float64]:
    """How much each beat sounds like the first of a bar: a bass drum, and another chord than before."""
    strikes = ndimage.maximum_filter1d(drums.kick, 5)
    kick = strikes[np.minimum(beats.frames, len(strikes) - 1)].astype(np.float64)
    edges = np.append(beats.frames, len(onsets.tone))
    chords = np.array([onsets.tone[start:end].mean(axis=0) for start, end in pairwise(edges)])
    chords /= np.linalg.norm(chords, axis=1, keepdims=True) + 1e-9
    change = np.concatenate([[0.0], 1 - (chords[1:] * chords[:-1]).sum(axis=1)])
    return _standard(kick) + _standard(change)


def _likeness(accents: NDArray[np.float64], length: int) -> float:
    """How like themselves the accents are one bar and two bars later."""
    if accents.std() == 0:
        return 0.0
    return float(np.mean([np.corrcoef(accents[lag:], accents[:-lag])[0, 1] for lag in (length, 2 * length)]))


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
