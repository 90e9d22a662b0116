"""Which of the onsets are beats: those that keep the time best.

The tempo is read from the beats found, not from the coarse steps of a correlation. The beats are the
best path through the onsets for a given period; D. Ellis, "Beat tracking by dynamic programming"
(Journal of New Music Research 36, 2007).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from progresshub.jobs.sound.onsets import FRAMES_PER_S, Line, Onsets, seconds

SLOWEST_BPM = 50.0
FASTEST_BPM = 210.0
USUAL_BPM = 120.0
SPREAD_OCTAVES = 0.9

_FEWEST = 4
_FAINTEST = 0.05
_TIGHTNESS = 100.0
_WINDOW_S = 12.0
_SAME = 0.06
_EQUAL = 0.68
_WEAK = 0.6
_FASTEST_DOUBLED_BPM = 190.0
_SLOWEST_HALVED_BPM = 55.0


class Beats(NamedTuple):
    """`pulse` says how like itself the song is a beat later: 1 for a clockwork, hardly more than 0 for noise."""

    frames: NDArray[np.int64]
    tempo_bpm: float
    pulse: float

    @property
    def times_s(self) -> NDArray[np.float64]:
        return seconds(self.frames)


def find(onsets: Onsets) -> Beats | None:
    """The beats, or None where nothing beats."""
    if onsets.silent or not onsets.all.any():
        return None
    line, body = _smoothed(onsets.body + 0.5 * onsets.all), _smoothed(onsets.body)
    best = max((_track(line, period) for period in _candidates(line)), key=lambda found: _worth(found, line))
    beats = _levelled(best, line, body)
    frames = _trimmed(beats, line)
    if len(frames) < _FEWEST or (pulse := _pulse(line, frames)) < _FAINTEST:
        return None
    return Beats(frames, tempo_of(seconds(frames)), pulse)


def tempo_of(times_s: NDArray[np.float64]) -> float:
    """Beats a minute: the straight line through the beats, without those that stray from it."""
    numbers = np.arange(len(times_s))
    slope, start = np.polyfit(numbers, times_s, 1)
    stray = np.abs(times_s - (start + slope * numbers))
    near = stray <= np.median(stray) * 3 + 1e-6
    if near.sum() >= 4:
        slope = np.polyfit(numbers[near], times_s[near], 1)[0]
    return float(60 / slope)


def _candidates(line: Line) -> list[float]:
    """Periods in frames worth trying: the strongest of the correlation, their halves and doubles."""
    correlation = _correlation(line)
    shortest, longest = 60 * FRAMES_PER_S / FASTEST_BPM, 60 * FRAMES_PER_S / SLOWEST_BPM
    lags = np.arange(int(shortest), int(longest) + 1)
    weighted = correlation[lags] * _usual(lags)
    found: list[float] = []
    for lag in lags[np.argsort(-weighted)]:
        if len(found) == 3:
            break
        if all(abs(lag / other - 1) > _SAME for other in found):
            found.append(_between(correlation, int(lag)))
    related = [period * factor for period in found[:2] for factor in (0.5, 2.0, 2 / 3, 1.5)]
    for period in related:
        if shortest <= period <= longest and all(abs(period / other - 1) > _SAME for other in found):
            found.append(period)
    return found


def _correlation(line: Line) -> NDArray[np.float64]:
    """How much the line is like itself some frames later, averaged over stretches of it."""
    length = int(_WINDOW_S * FRAMES_PER_S)
    padded = np.pad(line, (0, max(0, 2 * length - len(line))))
    stretches = np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // 2]
    spectra = fft.rfft(stretches - stretches.mean(axis=1, keepdims=True), 2 * length, axis=1)
    total: NDArray[np.float64] = fft.irfft((np.abs(spectra) ** 2).sum(axis=0))[:length]
    fair: NDArray[np.float64] = total / (np.arange(length, 0, -1) * (total[0] + 1e-12) / length)
    return fair


def _pulse(line: Line, beats: NDArray[np.int64]) -> float:
    return float(np.clip(_correlation(line)[round(float(np.median(np.diff(beats))))], 0, 1))


def _usual(periods: NDArray[np.int64]) -> NDArray[np.float64]:
    """How usual a tempo is: people tap near 120, whatever the metre."""
    octaves = np.log2(60 * FRAMES_PER_S / periods / USUAL_BPM)
    weight: NDArray[np.float64] = np.exp(-0.5 * (octaves / SPREAD_OCTAVES) ** 2)
    return weight


def _between(line: NDArray[np.float64], peak: int) -> float:
    """The place of a peak between the frames, by the parabola through it and its neighbours."""
    left, middle, right = line[peak - 1 : peak + 2]
    bend = left - 2 * middle + right
    return peak + (float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0)


def _track(line: Line, period: float) -> NDArray[np.int64]:
    """The best path: strong onsets, and steps that hardly differ from the period."""
    steps = np.arange(-round(2 * period), -round(period / 2) + 1)
    cost = -_TIGHTNESS * np.log(-steps / period) ** 2
    reach = -int(steps[0])
    score = np.concatenate([np.zeros(reach), line.astype(np.float64)])
    origin = np.zeros(len(score), np.int64)
    for frame in range(reach, len(score)):
        options = score[frame + steps[0] : frame + steps[-1] + 1] + cost
        best = int(options.argmax())
        score[frame] += options[best]
        origin[frame] = frame + steps[best]
    last = len(score) - reach // 2 + int(score[-(reach // 2) :].argmax())
    path = []
    while last >= reach:
        path.append(last - reach)
        last = int(origin[last])
    return np.asarray(path[::-1], dtype=np.int64)


def _worth(beats: NDArray[np.int64], line: Line) -> float:
    """What speaks for these beats: strong onsets on them, few between them, and a usual tempo."""
    if len(beats) < _FEWEST:
        return 0.0
    period = float(np.median(np.diff(beats)))
    on = float(line[beats].mean())
    share = float(line[beats].sum() / (line.sum() + 1e-9))
    return float(on * share**0.5 * _usual(np.asarray([period]))[0])


def _levelled(beats: NDArray[np.int64], line: Line, body: Line) -> NDArray[np.int64]:
    """Twice as many beats where those between are as strong, half as many where every other one is weak."""
    loudest = ndimage.maximum_filter1d(body, 5)
    for _ in range(2):
        if len(beats) < 8:
            break
        tempo_bpm = 60 * FRAMES_PER_S / float(np.median(np.diff(beats)))
        even, odd = (float(np.median(loudest[beats[first::2]])) for first in (0, 1))
        between = float(np.median(loudest[(beats[:-1] + beats[1:]) // 2])) / (max(even, odd) + 1e-9)
        if between > _EQUAL and 2 * tempo_bpm <= _FASTEST_DOUBLED_BPM:
            beats = _track(line, 30 * FRAMES_PER_S / tempo_bpm)
        elif min(even, odd) < _WEAK * max(even, odd) and tempo_bpm / 2 >= _SLOWEST_HALVED_BPM:
            beats = beats[0 if even > odd else 1 :: 2]
        else:
            break
    return beats


def _trimmed(beats: NDArray[np.int64], line: Line) -> NDArray[np.int64]:
    """Without the beats before the first and after the last sound."""
    heard = np.flatnonzero(ndimage.maximum_filter1d(line, 9)[beats] > 0.3 * line[beats].mean())
    return beats[heard[0] : heard[-1] + 1] if len(heard) else beats[:0]


def _smoothed(line: Line) -> Line:
    smooth: Line = ndimage.gaussian_filter1d(line, 1.5)
    return smooth
