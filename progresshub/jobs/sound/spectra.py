"""Sound as spectra and back: overlapping windows, each a quarter later than the one before.

What goes there and back unchanged is the same sound, to the precision of 32-bit floats.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from progresshub.jobs.sound.decoding import Sound

Spectra = NDArray[np.complex64]
"""Channels, moments, frequencies."""

OVERLAP = 4


class Transform:
    """Windows of about `window_s`, a power of two of samples."""

    def __init__(self, rate_hz: int, window_s: float) -> None:
        self.window = 2 ** round(np.log2(window_s * rate_hz))
        self.hop = self.window // OVERLAP
        self.bin_hz = rate_hz / self.window
        self.moment_s = self.hop / rate_hz
        self._shape = hann(self.window)
        self._gain = np.float32((self._shape**2).sum() / self.hop)

    @property
    def frequencies_hz(self) -> NDArray[np.float32]:
        bins: NDArray[np.float32] = (np.arange(self.window // 2 + 1) * self.bin_hz).astype(np.float32)
        return bins

    def forward(self, sound: Sound) -> Spectra:
        after = self.window + -sound.shape[1] % self.hop
        padded = np.pad(sound, ((0, 0), (self.window, after)))
        cut = np.lib.stride_tricks.sliding_window_view(padded, self.window, axis=1)[:, :: self.hop]
        spectra: Spectra = fft.rfft(cut * self._shape, axis=2)
        return spectra

    def backward(self, spectra: Spectra, samples: int) -> Sound:
        cut = fft.irfft(spectra, self.window, axis=2) * (self._shape / self._gain)
        channels, moments, _ = cut.shape
        quarters = cut.reshape(channels, moments, OVERLAP, self.hop)
        sound = np.zeros((channels, moments + OVERLAP - 1, self.hop), np.float32)
        for number in range(OVERLAP):
            sound[:, number : number + moments] += quarters[:, :, number]
        return sound.reshape(channels, -1)[:, self.window : self.window + samples]


def hann(samples: int) -> NDArray[np.float32]:
    """The window of Hann, periodic. scipy has it too, in a module that takes half a second to import."""
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(samples) / samples)).astype(np.float32)
    return window
