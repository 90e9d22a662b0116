"""Where notes begin: how much louder each moment is than the one before, band by band.

Sound comes in pieces of any size, and only figures of a few bytes for each moment are kept: half an hour
takes some megabytes. The measure is a spectral flux that a vibrato does not set off; S. Böck and
G. Widmer, "Maximum filter vibrato suppression for onset detection" (DAFx 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from progresshub.jobs.sound.spectra import hann

RATE_HZ = 22_050
WINDOW = 1_024
HOP = 256
FRAMES_PER_S = RATE_HZ / HOP
LATE_S = -0.006
"""How much later an onset is than the middle of the window that tells of it, as measured on songs of known beats."""

_BANDS_PER_OCTAVE = 12
_LOWEST_HZ = 30.0
_LAG = 2
_FINE = 3.0
_COARSE = 0.03
_KICK_HZ = 150.0
_BODY_HZ = 5_000.0
_MEAN_S = 1.0
_QUIET = 1e-4
_PEAK_S = 0.03
_BETWEEN_S = 0.05

Line = NDArray[np.float32]


@dataclass(frozen=True)
class Onsets:
    """Strengths per moment.

    `all` hears soft notes almost like loud ones; `body` counts what is loud, and leaves out hi-hats;
    `kick` is that of a bass drum alone. `tone` is how strong each of the twelve tones is.
    """

    all: Line
    body: Line
    kick: Line
    tone: NDArray[np.float32]
    loudest: float

    @property
    def silent(self) -> bool:
        return self.loudest < _QUIET

    def times_s(self) -> tuple[NDArray[np.float64], Line]:
        """When notes begin, and how strongly, 1 being the strongest."""
        around = ndimage.uniform_filter1d(self.all, _frames(_MEAN_S))
        highest = ndimage.maximum_filter1d(self.all, 2 * _frames(_PEAK_S) + 1)
        clear = (self.all == highest) & (self.all > around + 0.25 * self.all.std()) & (self.all > 0)
        peaks = _apart(np.flatnonzero(clear), self.all, _frames(_BETWEEN_S))
        strengths = self.all[peaks]
        return seconds(peaks), strengths / (strengths.max() if len(strengths) else 1.0)


class Listener:
    """Takes mono sound of RATE_HZ piece by piece."""

    def __init__(self) -> None:
        self._window = hann(WINDOW)
        self._bank = _filters()
        self._tones = _tones()
        self._rest = np.zeros(WINDOW // 2, np.float32)
        self._before = np.zeros((_LAG, len(self._bank)), np.float32)
        self._found: list[tuple[Line, Line, Line, NDArray[np.float32]]] = []
        self._loudest = 0.0

    def hear(self, sound: Line) -> None:
        self._loudest = max(self._loudest, float(np.abs(sound).max(initial=0.0)))
        sound = np.concatenate([self._rest, sound])
        frames = max(0, (len(sound) - WINDOW) // HOP + 1)
        self._rest = sound[frames * HOP :]
        if frames:
            cut = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP][:frames]
            self._measure(np.abs(fft.rfft(cut * self._window, axis=1)))

    def end(self) -> Onsets:
        """What was heard; nothing may follow."""
        self.hear(np.zeros(WINDOW, np.float32))
        everything, body, kick, tone = (np.concatenate(lines) for lines in zip(*self._found, strict=True))
        return Onsets(_level(everything), _level(body), _level(kick), tone, self._loudest)

    def _measure(self, spectra: NDArray[np.float32]) -> None:
        bands = np.concatenate([self._before, spectra @ self._bank.T])
        self._before = bands[-_LAG:]
        fine, coarse = _rise(np.log1p(_FINE * bands)), _rise(np.log1p(_COARSE * bands))
        kick, body = _bands_below(_KICK_HZ), _bands_below(_BODY_HZ)
        tone = (spectra @ self._tones.T).astype(np.float32)
        self._found.append((fine.mean(axis=1), coarse[:, :body].mean(axis=1), coarse[:, :kick].mean(axis=1), tone))


def seconds(frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """The times of moments."""
    return frames / FRAMES_PER_S + LATE_S


def _rise(bands: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much each band is above all its neighbours a moment ago."""
    widened = ndimage.maximum_filter1d(bands, 3, axis=1)
    risen: NDArray[np.float32] = np.maximum(np.float32(0), bands[_LAG:] - widened[:-_LAG])
    return risen


def _edges_hz() -> NDArray[np.float64]:
    octaves = np.log2(RATE_HZ / 2 / _LOWEST_HZ)
    spread = _LOWEST_HZ * 2 ** (np.arange(int(octaves * _BANDS_PER_OCTAVE) + 1) / _BANDS_PER_OCTAVE)
    bins = np.unique(np.round(spread * WINDOW / RATE_HZ).astype(int))
    edges: NDArray[np.float64] = bins[bins > 0] * RATE_HZ / WINDOW
    return edges


def _filters() -> NDArray[np.float32]:
    """Triangles between neighbouring edges, each of the same height."""
    edges = _edges_hz()
    frequencies = np.arange(WINDOW // 2 + 1) * RATE_HZ / WINDOW
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    up, down = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    bank: NDArray[np.float32] = np.clip(np.minimum(up, down), 0, None).astype(np.float32)
    return bank


def _bands_below(hz: float) -> int:
    return int(np.searchsorted(_edges_hz()[1:-1], hz))


def _tones() -> NDArray[np.float32]:
    """Which bins belong to which of the twelve tones, between 100 Hz and 2 kHz."""
    frequencies = np.arange(WINDOW // 2 + 1) * RATE_HZ / WINDOW
    bank = np.zeros((12, len(frequencies)), np.float32)
    for position in np.flatnonzero((frequencies > 100) & (frequencies < 2_000)):
        bank[int(np.round(12 * np.log2(frequencies[position] / 440.0))) % 12, position] = 1.0
    return bank


def _level(line: Line) -> Line:
    """Without what goes on all the time, in units of its own spread."""
    line = np.maximum(0, line - ndimage.uniform_filter1d(line, _frames(_MEAN_S)))
    spread = float(line.std())
    return (line / spread if spread > 0 else line).astype(np.float32)


def _apart(peaks: NDArray[np.int64], line: Line, least: int) -> NDArray[np.int64]:
    """The peaks that have no stronger one close by."""
    kept: list[int] = []
    for peak in peaks:
        if kept and peak - kept[-1] < least:
            if line[peak] > line[kept[-1]]:
                kept[-1] = peak
            continue
        kept.append(peak)
    return np.asarray(kept, dtype=np.int64)


def _frames(period_s: float) -> int:
    return max(1, round(period_s * FRAMES_PER_S))
