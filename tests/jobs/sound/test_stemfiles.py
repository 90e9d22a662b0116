import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from progresshub.jobs.sound.stemfiles import MOST, StemFiles, shared_out
from tests.songs import load

SOUND = arrays(np.float32, (2, 5), elements=st.floats(-1, 1, width=32))


@given(SOUND, SOUND, SOUND, SOUND)
def test_the_stems_add_up_to_the_mix_to_the_last_bit(mix, vocals, drums, bass):
    shared = shared_out(mix, {"vocals": vocals, "drums": drums, "bass": bass})

    assert (sum(shared.values()) == np.rint(mix.astype(np.float64) * MOST)).all()
    assert all(np.abs(samples).max() <= MOST for samples in shared.values())


def test_a_stem_that_fits_is_only_rounded():
    mix, vocals = np.full((1, 3), 0.5, np.float32), np.full((1, 3), 0.123, np.float32)

    shared = shared_out(mix, {"vocals": vocals, "drums": vocals, "bass": vocals})

    assert np.abs(shared["vocals"] / MOST - vocals).max() < 1 / MOST


def test_the_files_are_24_bit_and_hold_what_was_written(tmp_path):
    sound = np.linspace(-1, 1, 2_000, dtype=np.float32).reshape(2, 1_000)
    quiet = np.zeros_like(sound)

    with StemFiles(tmp_path, "song", rate_hz=8_000, channels=2) as files:
        for start in (0, 400):
            part = slice(start, start + 400) if start == 0 else slice(400, None)
            files.write(sound[:, part], {"vocals": sound[:, part], "drums": quiet[:, part], "bass": quiet[:, part]})

    vocals, rate_hz = load(tmp_path / "song_vocals.wav")
    assert rate_hz == 8_000
    assert np.abs(vocals / MOST - sound).max() < 1 / MOST
    assert not load(tmp_path / "song_other.wav")[0].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files.names.values())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_files_that_are_not_whole(tmp_path, error):
    sound = np.zeros((1, 100), np.float32)

    with contextlib.suppress(error), StemFiles(tmp_path, "song", rate_hz=8_000, channels=1) as files:
        files.write(sound, {"vocals": sound, "drums": sound, "bass": sound})
        raise error

    assert list(tmp_path.iterdir()) == []
