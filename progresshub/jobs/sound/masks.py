"""The built-in engine: stems without any model, from what is known of how instruments sound.

Drums are short and broad, everything else is long and narrow: D. Fitzgerald, "Harmonic/percussive
separation using median filtering" (DAFx 2010). Bass is low. A voice is in the middle, and does not keep
its pitch as instruments do, so that in very long windows it looks broad as well: D. Fitzgerald and
M. Gainza, "Single channel vocal separation using median filtering" (ISAST 2010). Each share of the sound
is given to one stem only; the figures were chosen by `python -m bench.stems`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from progresshub.jobs.sound.decoding import Sound
from progresshub.jobs.sound.spectra import Spectra, Transform

Mask = NDArray[np.float32]

NAME = "builtin"
STRIKE_WINDOW_S = 0.186
VOICE_WINDOW_S = 0.372
_STRIKE_LASTS_S = 0.51
_STRIKE_SPANS_HZ = 330.0
_STRIKE_WEIGHT = 0.8
_TONE_LASTS_S = 1.95
_TONE_SPANS_HZ = 30.0
_TONE_WEIGHT = 0.5
_BASS_BELOW_HZ = 220.0
_BASS_EDGE = 8
_VOICE_ABOVE_HZ = 150.0
_NOTHING = 1e-9


class Masks:
    """Takes a stretch of sound apart; it knows nothing of what came before."""

    name = NAME
    rate_hz: int | None = None
    channels: int | None = None
    block_s = 20.0
    overlap_s = 3.0

    def stems(self, mix: Sound, rate_hz: int) -> dict[str, Sound]:
        drums, bass = self._strikes_and_bass(mix, rate_hz)
        rest = mix - drums - bass
        return {"vocals": self._voice(rest, rate_hz), "drums": drums, "bass": bass}

    def _strikes_and_bass(self, mix: Sound, rate_hz: int) -> tuple[Sound, Sound]:
        transform = Transform(rate_hz, STRIKE_WINDOW_S)
        spectra = transform.forward(mix)
        struck = _broad(spectra, transform, _STRIKE_LASTS_S, _STRIKE_SPANS_HZ, _STRIKE_WEIGHT)
        low = 1 / (1 + (transform.frequencies_hz / np.float32(_BASS_BELOW_HZ)) ** _BASS_EDGE)
        samples = mix.shape[1]
        return transform.backward(spectra * struck, samples), transform.backward(
            spectra * ((1 - struck) * low), samples
        )

    def _voice(self, rest: Sound, rate_hz: int) -> Sound:
        transform = Transform(rate_hz, VOICE_WINDOW_S)
        spectra = transform.forward(rest)
        unsteady = _broad(spectra, transform, _TONE_LASTS_S, _TONE_SPANS_HZ, _TONE_WEIGHT)
        mask = unsteady if len(spectra) == 1 else np.sqrt(unsteady) * _middle(spectra)
        mask = mask * (transform.frequencies_hz > _VOICE_ABOVE_HZ)
        return transform.backward(spectra * mask, rest.shape[1])


def _broad(spectra: Spectra, transform: Transform, lasts_s: float, spans_hz: float, weight: float) -> Mask:
    """How far each place looks like its neighbours in frequency rather than like those in time, from 0 to 1."""
    loudness = np.abs(spectra).mean(axis=0) + np.float32(_NOTHING)
    long = _median(np.ascontiguousarray(loudness.T), lasts_s / transform.moment_s).T * np.float32(weight)
    broad = _median(loudness, spans_hz / transform.bin_hz)
    mask: Mask = (broad**2 / (broad**2 + long**2)).astype(np.float32)
    return mask


def _middle(spectra: Spectra) -> Mask:
    """How far each place is the same on both sides, from 0 to 1, over three moments."""
    left, right = spectra
    common = ndimage.uniform_filter1d(2 * (left * right.conj()).real, 3, axis=0)
    whole = ndimage.uniform_filter1d(np.abs(left) ** 2 + np.abs(right) ** 2, 3, axis=0)
    mask: Mask = np.clip(common / (whole + np.float32(_NOTHING)), 0, 1)
    return mask


def _median(lines: Mask, width: float) -> Mask:
    """The running median along each line, over an odd number of places.

    One filter over all lines joined, each with its own edge, is many times quicker than one in two dimensions.
    """
    size = 2 * max(1, round((width - 1) / 2)) + 1
    edge = min(size // 2, lines.shape[1] - 1)
    padded = np.pad(lines, ((0, 0), (edge, edge)), mode="reflect")
    found: Mask = ndimage.median_filter(padded.ravel(), size=size, mode="nearest").reshape(padded.shape)
    return found[:, edge : edge + lines.shape[1]]
