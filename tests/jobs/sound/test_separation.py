"""Songs whose stems are known, taken apart: better than what needs no thought, and in bounded memory."""

import numpy as np
import pytest

from progresshub.jobs.sound.masks import Masks
from progresshub.jobs.sound.separation import separate
from tests.songs import by_band, sdr_db, song


def in_pieces(sound, samples=50_000):
    return (sound[:, start : start + samples] for start in range(0, sound.shape[1], samples))


def whole(stretches):
    """The stems of all stretches, the fourth included."""
    parts = list(stretches)
    mix = np.concatenate([part.mix for part in parts], axis=1)
    stems = {name: np.concatenate([part.stems[name] for part in parts], axis=1) for name in parts[0].stems}
    return mix, {**stems, "other": mix - sum(stems.values())}


@pytest.mark.parametrize(("bpm", "seed", "rate_hz"), [(120, 21, 44_100), (90, 22, 44_100), (174, 23, 22_050)])
def test_each_stem_is_nearer_to_the_truth_than_trivial_ones(bpm, seed, rate_hz):
    known = song(bpm, 10, seed=seed, rate_hz=rate_hz)

    _, found = whole(separate(in_pieces(known.mix), Masks(), rate_hz))

    trivial = by_band(known.mix, rate_hz)
    for name, stem in known.stems.items():
        db = sdr_db(stem, found[name])
        assert db > sdr_db(stem, known.mix), name
        assert db > sdr_db(stem, known.mix / 4), name
        assert db > sdr_db(stem, trivial[name]), name


def test_a_song_in_mono_is_taken_apart_too():
    known = song(120, 10, seed=24)
    mix = known.mix.mean(axis=0, keepdims=True)

    _, found = whole(separate(in_pieces(mix), Masks(), 44_100))

    for name, stem in known.stems.items():
        assert sdr_db(stem.mean(axis=0, keepdims=True), found[name]) > 2 + sdr_db(stem, known.mix / 4), name


def test_a_song_of_8_khz_is_taken_apart_too():
    known = song(120, 10, seed=25, rate_hz=8_000)

    _, found = whole(separate(in_pieces(known.mix), Masks(), 8_000))

    for name, stem in known.stems.items():
        assert sdr_db(stem, found[name]) > sdr_db(stem, known.mix / 4), name


@pytest.mark.parametrize("seconds", [0.05, 1, 5.9, 6.1, 11, 14.3])
def test_the_whole_song_comes_out_whatever_its_length(seconds):
    class Short(Masks):
        block_s, overlap_s = 5.0, 1.0

    mix = song(120, 15, rate_hz=8_000).mix[:, : int(seconds * 8_000)]

    out, _ = whole(separate(in_pieces(mix, 3_000), Short(), 8_000))

    assert np.array_equal(out, mix)


def test_the_seams_between_blocks_are_not_to_be_heard():
    class Short(Masks):
        block_s, overlap_s = 6.0, 3.0

    known = song(120, 15, seed=26, rate_hz=22_050)

    _, at_once = whole(separate(in_pieces(known.mix), Masks(), 22_050))
    _, in_blocks = whole(separate(in_pieces(known.mix), Short(), 22_050))

    for name in known.stems:
        assert sdr_db(at_once[name], in_blocks[name]) > 20, name


def test_an_engine_never_sees_more_than_a_block():
    class Counting(Masks):
        block_s, overlap_s = 2.0, 0.5
        most = 0

        def stems(self, mix, rate_hz):
            self.most = max(self.most, mix.shape[1])
            return {name: np.zeros_like(mix) for name in ("vocals", "drums", "bass")}

    engine = Counting()

    for stretch in separate((np.zeros((1, 4_000), np.float32) for _ in range(100)), engine, 8_000):
        assert stretch.mix.shape[1] <= 2.5 * 8_000

    assert engine.most <= 2.5 * 8_000
