import numpy as np
import pytest

from progresshub.jobs.sound.spectra import Transform


@pytest.mark.parametrize("samples", [1, 1_000, 12_345, 44_100])
def test_what_goes_there_and_back_is_the_same_sound(samples):
    sound = np.random.default_rng(1).uniform(-1, 1, (2, samples)).astype(np.float32)
    transform = Transform(44_100, 0.186)

    back = transform.backward(transform.forward(sound), samples)

    assert back.shape == sound.shape
    assert np.abs(back - sound).max() < 1e-5


def test_windows_last_as_long_at_every_rate():
    windows = [Transform(rate_hz, 0.186) for rate_hz in (8_000, 22_050, 44_100, 48_000)]

    assert [one.window for one in windows] == [2_048, 4_096, 8_192, 8_192]


def test_a_tone_is_found_at_its_frequency():
    sound = np.sin(2 * np.pi * 1_000 * np.arange(44_100) / 44_100).astype(np.float32)[None]
    transform = Transform(44_100, 0.186)

    spectra = np.abs(transform.forward(sound))[0]

    loudest = spectra[len(spectra) // 2].argmax()
    assert abs(transform.frequencies_hz[loudest] - 1_000) <= transform.bin_hz
