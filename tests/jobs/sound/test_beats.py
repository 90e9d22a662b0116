"""Songs whose beats are known."""

import numpy as np
import pytest

from progresshub.jobs.sound import beats
from progresshub.jobs.sound.metre import confidence, metre_of, regularity
from progresshub.jobs.sound.onsets import RATE_HZ, Listener
from tests.songs import f_measure, machine, song

SECONDS = 16


def heard(sound, piece=100_000):
    listener = Listener()
    for start in range(0, len(sound), piece):
        listener.hear(sound[start : start + piece])
    return listener.end()


@pytest.mark.parametrize("seed", [31, 32])
@pytest.mark.parametrize(
    ("bpm", "options"),
    [
        (90, {}),
        (120, {}),
        (174, {}),
        (90, {"busy": True}),
        (120, {"busy": True}),
        (174, {"busy": True}),
        (105, {"swing": 0.9}),
        (140, {"beats_a_bar": 3}),
    ],
)
def test_tempo_and_beats_are_found(bpm, options, seed):
    known = song(bpm, SECONDS, rate_hz=RATE_HZ, seed=seed, **options)

    found = beats.find(heard(known.mix.mean(axis=0)))

    assert found is not None
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.02)
    assert f_measure(known.beats_s, found.times_s) >= 0.9


@pytest.mark.parametrize("bpm", [76, 110, 142])
@pytest.mark.parametrize(
    "bar",
    [
        {
            "kick": "x.......x.x.....",
            "snare": "....x.......x...",
            "hat": "x.x.x.x.x.x.x.x.",
            "bass": "x.x.x.x.x.x.x.x.",
        },
        {"chord": "x...x...x...x.x.", "bass": "x.......x......."},
    ],
    ids=["rock", "no drums"],
)
def test_beats_are_found_in_rhythms_of_other_kinds(bar, bpm):
    known = machine(bpm, SECONDS, bar, rate_hz=RATE_HZ, seed=34)

    found = beats.find(heard(known.mix.mean(axis=0)))

    assert found is not None
    assert found.tempo_bpm == pytest.approx(bpm, rel=0.02)
    assert f_measure(known.beats_s, found.times_s) >= 0.9


def test_beats_are_where_they_are_and_not_a_little_later():
    known = song(120, SECONDS, rate_hz=RATE_HZ, seed=33)

    found = beats.find(heard(known.mix.mean(axis=0)))

    assert found is not None
    late_s = [found.times_s[np.abs(found.times_s - beat_s).argmin()] - beat_s for beat_s in known.beats_s]
    assert abs(np.median(late_s)) < 0.015


def test_how_sound_is_cut_into_pieces_makes_no_difference():
    sound = song(120, 5, rate_hz=RATE_HZ).mix.mean(axis=0)

    one, many = heard(sound, len(sound)), heard(sound, 777)

    assert np.allclose(one.all, many.all, atol=1e-3)
    assert np.allclose(one.body, many.body, atol=1e-3)


@pytest.mark.parametrize("level", [0.0, 1e-5])
def test_silence_has_no_beat(level):
    sound = np.random.default_rng(1).uniform(-level, level, 5 * RATE_HZ).astype(np.float32)

    onsets = heard(sound)

    assert onsets.silent
    assert beats.find(onsets) is None


def test_a_single_click_has_no_beat():
    sound = np.zeros(2 * RATE_HZ, np.float32)
    sound[RATE_HZ] = 0.9

    assert beats.find(heard(sound)) is None


def test_onsets_are_where_notes_begin():
    sound = np.zeros(6 * RATE_HZ, np.float32)
    clicks_s = [0.5, 1.1, 2.0, 2.25, 4.0]
    for click_s in clicks_s:
        start = int(click_s * RATE_HZ)
        sound[start : start + 2_000] = np.sin(np.arange(2_000) / 5) * np.exp(-np.arange(2_000) / 300) * 0.8

    times_s, strengths = heard(sound).times_s()

    assert times_s == pytest.approx(clicks_s, abs=0.03)
    assert strengths.max() == pytest.approx(1)


def test_a_steady_song_is_regular_and_sure_and_noise_has_no_beat():
    steady = heard(song(120, SECONDS, rate_hz=RATE_HZ).mix.mean(axis=0))
    noise = heard(np.random.default_rng(2).uniform(-0.5, 0.5, SECONDS * RATE_HZ).astype(np.float32))

    sure, unsure = beats.find(steady), beats.find(noise)

    assert sure is not None
    assert regularity(sure) > 0.95
    assert confidence(sure) > 0.8
    assert unsure is None


def test_bars_of_four_and_of_three_are_told_apart():
    four = song(120, 20, rate_hz=RATE_HZ, seed=5)
    three = song(120, 20, rate_hz=RATE_HZ, seed=4, beats_a_bar=3)

    signatures = []
    for known in (four, three):
        onsets, drums = heard(known.mix.mean(axis=0)), heard(known.stems["drums"].mean(axis=0))
        found = beats.find(onsets)
        assert found is not None
        metre = metre_of(found, onsets, drums)
        assert found.times_s[metre.downbeat] == pytest.approx(known.beats_s[0], abs=0.07)
        signatures.append(metre.signature)

    assert signatures == ["4/4", "3/4"]
