"""Four stems as 24-bit WAV files that add up to the song, sample by sample.

Three are rounded, the fourth is what is left of the rounded song. The files have their names only
when they are whole.
"""

from __future__ import annotations

import wave
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from progresshub.jobs.audio import STEMS
from progresshub.jobs.sound.decoding import Sound

Samples = NDArray[np.int32]

MOST = 2**23 - 1
SAMPLE_BYTES = 3


class StemFiles:
    """`with StemFiles(...) as files:` makes `{name}_vocals.wav` and its siblings when the block ends well."""

    def __init__(self, directory: Path, name: str, *, rate_hz: int, channels: int) -> None:
        self.names = {stem: f"{name}_{stem}.wav" for stem in STEMS}
        self._hidden = {stem: directory / f".{name}_{stem}.part" for stem in STEMS}
        self._directory = directory
        self._rate_hz = rate_hz
        self._channels = channels
        self._files: dict[str, wave.Wave_write] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for stem, path in self._hidden.items():
            file = self._stack.enter_context(wave.open(str(path), "wb"))
            file.setnchannels(self._channels)
            file.setsampwidth(SAMPLE_BYTES)
            file.setframerate(self._rate_hz)
            self._files[stem] = file
        return self

    def write(self, mix: Sound, stems: Mapping[str, Sound]) -> None:
        """Add a stretch of sound; `stems` has all but "other"."""
        for stem, samples in shared_out(mix, stems).items():
            self._files[stem].writeframesraw(_packed(samples))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        whole = False
        try:
            self._stack.close()
            whole = error is None
        finally:
            for stem, path in self._hidden.items():
                if whole:
                    path.replace(self._directory / self.names[stem])
                else:
                    path.unlink(missing_ok=True)


def shared_out(mix: Sound, stems: Mapping[str, Sound]) -> dict[str, Samples]:
    """Whole numbers whose sum is that of the mix; what one stem has no room for, the others take."""
    shared = {stem: _rounded(sound) for stem, sound in stems.items()}
    left = _rounded(mix) - sum(shared.values())
    shared["other"] = np.clip(left, -MOST, MOST)
    left -= shared["other"]
    for stem in stems:
        if not left.any():
            break
        fuller = np.clip(shared[stem] + left, -MOST, MOST)
        left -= fuller - shared[stem]
        shared[stem] = fuller
    return shared


def _rounded(sound: Sound) -> Samples:
    return np.clip(np.rint(sound.astype(np.float64) * MOST), -MOST, MOST).astype(np.int32)


def _packed(samples: Samples) -> bytes:
    """Three bytes each, low ones first, channels side by side."""
    wide = np.ascontiguousarray(samples.T).astype("<i4").view(np.uint8).reshape(-1, 4)
    return wide[:, :SAMPLE_BYTES].tobytes()
