"""Takes a song apart block by block: an engine sees one block at a time, and blocks fade into each other.

Memory is bounded by the block, however long the song is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from progresshub.jobs.sound.decoding import Sound


class Engine(Protocol):
    """Takes sound apart. `rate_hz` and `channels` are what it can work with; None is whatever the song has."""

    name: str
    rate_hz: int | None
    channels: int | None
    block_s: float
    overlap_s: float

    def stems(self, mix: Sound, rate_hz: int) -> dict[str, Sound]:
        """Vocals, drums and bass of the same shape as the mix; what is left is the fourth."""
        ...


class Stretch(NamedTuple):
    """A part of the song that is done; `samples` counts all that are, this one included."""

    mix: Sound
    stems: dict[str, Sound]
    samples: int


def separate(pieces: Iterable[Sound], engine: Engine, rate_hz: int) -> Iterator[Stretch]:
    """The whole song, stretch after stretch."""
    overlap = int(engine.overlap_s * rate_hz)
    step = int(engine.block_s * rate_hz) - overlap
    rise = np.linspace(0, 1, overlap, dtype=np.float32)
    before: dict[str, Sound] | None = None
    done = 0
    for block, last in _blocks(pieces, step, overlap):
        stems = engine.stems(block, rate_hz)
        if before is not None:
            for stem, sound in stems.items():
                width = min(overlap, sound.shape[1])
                sound[:, :width] = sound[:, :width] * rise[:width] + before[stem][:, :width] * (1 - rise[:width])
        ready = block.shape[1] if last else step
        done += ready
        yield Stretch(block[:, :ready], {stem: sound[:, :ready] for stem, sound in stems.items()}, done)
        before = {stem: sound[:, ready:] for stem, sound in stems.items()}


def _blocks(pieces: Iterable[Sound], step: int, overlap: int) -> Iterator[tuple[Sound, bool]]:
    """Blocks that overlap, and whether each is the last, which may be up to twice as long as the overlap asks for."""
    held: list[Sound] = []
    samples = 0
    for piece in pieces:
        held.append(piece)
        samples += piece.shape[1]
        # More than a block is there, so the last one never is too short to tell anything by.
        while samples >= step + 2 * overlap:
            whole = np.concatenate(held, axis=1)
            yield whole[:, : step + overlap], False
            held = [whole[:, step:]]
            samples -= step
    if samples:
        yield np.concatenate(held, axis=1), True
