"""Songs taken apart: `python -m bench.stems [--songs N] [--seconds S] [--long]`.

How well stems and beats are found in songs made for it, whose parts are known, beside what needs no thought
(and beside librosa's beats, where that is installed); then a whole task in a process of its own: seconds for
each second of sound, step by step, and the most memory it took. `--long` does that with 30 minutes.

The songs are synthetic, with seeds that nothing was tuned on: expect less of real music. What a trained model
does is printed below the table as its authors published it, on other songs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from progresshub.jobs.sound import beats
from progresshub.jobs.sound.masks import Masks
from progresshub.jobs.sound.metre import metre_of
from progresshub.jobs.sound.onsets import RATE_HZ, Listener, Onsets
from progresshub.jobs.sound.separation import separate
from tests.songs import Song, Sound, by_band, f_measure, machine, save, sdr_db, song

STEMS = ("vocals", "drums", "bass", "other")
BEATS: list[tuple[int, dict[str, Any]]] = [
    (bpm, options) for bpm in (72, 90, 108, 120, 128, 150, 174) for options in ({}, {"busy": True}, {"swing": 0.9})
]
BEATS += [(bpm, {"beats_a_bar": 3}) for bpm in (90, 120, 150)]
BARS = {
    "four on the floor": {"kick": "x...x...x...x...", "hat": "..x...x...x...x.", "bass": "..x...x...x...x."},
    "rock": {
        "kick": "x.......x.x.....",
        "snare": "....x.......x...",
        "hat": "x.x.x.x.x.x.x.x.",
        "bass": "x.x.x.x.x.x.x.x.",
    },
    "half time": {
        "kick": "x.............x.",
        "snare": "........x.......",
        "hat": "x.x.x.x.x.x.x.x.",
        "bass": "x...x...x...x...",
    },
    "drum and bass": {
        "kick": "x.........x.....",
        "snare": "....x.......x...",
        "hat": "x.x.x.x.x.x.x.x.",
        "bass": "x...............",
    },
    "chords alone": {"chord": "x...x...x...x.x.", "bass": "x.......x......."},
    "one drop": {
        "kick": "........x.......",
        "snare": "........x.......",
        "hat": "x.x.x.x.x.x.x.x.",
        "chord": "..x...x...x...x.",
        "bass": "x...........x...",
    },
    "bossa nova": {
        "kick": "x.....x.x.....x.",
        "hat": "x.x.x.x.x.x.x.x.",
        "chord": "x..x..x...x..x..",
        "bass": "x.....x.x.....x.",
    },
}
"""Rhythms of other kinds of music than the songs above have, and than the figures in `beats` were chosen by."""
BAR_BPM = (76, 92, 110, 126, 142, 170)
FIRST_SEED = 100
LONG_S = 1_800
PUBLISHED = """published for demucs on MUSDB-HQ (its README, and Rouard, Massa, Défossez, ICASSP 2023), for comparison:
  htdemucs 9.0 dB, with sparse attention and fine-tuning 9.2 dB; Hybrid Demucs v3 7.7 dB (mean of four stems)"""
WORKER = """
import json, os, re, sys
from pathlib import Path
from progresshub.jobs.functions import Context
from progresshub.jobs.sound.song import take_apart
from progresshub.report import Reporter

folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
context = Context(Reporter(), task_id="bench", attempt=1, directory=folder)
result = take_apart(context, {"file": "song.wav"}, settings)
result["cpu_s"] = sum(os.times()[:4])
# What getrusage says begins with the memory of whoever started this.
result["peak_bytes"] = 1024 * int(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps(result))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--songs", type=int, default=6)
    arguments.add_argument("--seconds", type=float, default=15.0)
    arguments.add_argument("--long", action="store_true", help="also take half an hour apart")
    given = arguments.parse_args()
    compare_stems(given.songs, given.seconds)
    compare_beats(given.seconds)
    measure(song(120, 30, seed=FIRST_SEED).mix, 30)
    if given.long:
        measure(song(120, 30, seed=FIRST_SEED).mix, LONG_S)


def compare_stems(songs: int, seconds: float) -> None:
    """A table of SDR in dB."""
    tempos = (120, 90, 174, 104, 140, 76)
    known = [song(tempos[n % 6], seconds, seed=FIRST_SEED + n, busy=n % 2 == 1) for n in range(songs)]
    ways: dict[str, Callable[[Song], dict[str, Sound]]] = {
        "the mix as each stem": lambda one: dict.fromkeys(STEMS, one.mix),
        "a quarter of the mix": lambda one: dict.fromkeys(STEMS, one.mix * np.float32(0.25)),
        "split into bands": lambda one: by_band(one.mix, one.rate_hz),
        "built in": lambda one: taken_apart(one.mix, one.rate_hz),
        "built in, mono": lambda one: taken_apart(one.mix.mean(axis=0, keepdims=True), one.rate_hz),
    }
    print(f"SDR in dB, mean of {songs} songs of {seconds:g} s" + "".join(f"{stem:>9}" for stem in (*STEMS, "mean")))
    for name, way in ways.items():
        table = np.array(
            [[sdr_db(truth(one, stem, found), found[stem]) for stem in STEMS] for one in known for found in [way(one)]]
        )
        means = [*table.mean(axis=0), table.mean()]
        print(f"{name:>37}" + "".join(f"{mean:9.2f}" for mean in means))
    print(PUBLISHED)


def truth(one: Song, stem: str, found: dict[str, Sound]) -> Sound:
    """The known stem, in mono where the found one is."""
    known = one.stems[stem]
    return known if len(found[stem]) == len(known) else known.mean(axis=0, keepdims=True)


def taken_apart(mix: Sound, rate_hz: int) -> dict[str, Sound]:
    stretches = list(separate(iter([mix]), Masks(), rate_hz))
    stems = {stem: np.concatenate([one.stems[stem] for one in stretches], axis=1) for stem in STEMS[:3]}
    return {**stems, "other": mix - stems["vocals"] - stems["drums"] - stems["bass"]}


def compare_beats(seconds: float) -> None:
    """A table of tempo and beats; an octave error is a tempo of half or double."""
    known = [
        (bpm, song(bpm, seconds, rate_hz=RATE_HZ, seed=FIRST_SEED + n, **given)) for n, (bpm, given) in enumerate(BEATS)
    ]
    track_all("songs", known)
    for name, bar in BARS.items():
        track_all(name, [(bpm, machine(bpm, 2 * seconds, bar, rate_hz=RATE_HZ, seed=bpm)) for bpm in BAR_BPM])
    bars = sum(signature(one) == given.get("beats_a_bar", 4) for (_, one), (_, given) in zip(known, BEATS, strict=True))
    print(f"beats a bar right, by the separated drums: {bars} of {len(known)}")


def track_all(title: str, known: list[tuple[int, Song]]) -> None:
    trackers: dict[str, Callable[[Sound], tuple[float, NDArray[np.float64]]]] = {"ours": ours}
    if importlib.util.find_spec("librosa"):
        trackers["librosa"] = librosas
    for name, tracker in trackers.items():
        rows = [(bpm, *tracker(one.mix), one) for bpm, one in known]
        right = sum(abs(tempo / bpm - 1) < 0.02 for bpm, tempo, _, _ in rows)
        octaves = sum(any(abs(tempo / bpm / off - 1) < 0.02 for off in (0.5, 2)) for bpm, tempo, _, _ in rows)
        measures = [f_measure(one.beats_s, times_s) for _, _, times_s, one in rows]
        print(
            f"beats of {title}, {name}: tempo within 2 % in {right} of {len(rows)}, half or double in {octaves},"
            f" F-measure (70 ms) {np.mean(measures):.3f}, at least 0.9 in {sum(one >= 0.9 for one in measures)}"
        )


def ours(mix: Sound) -> tuple[float, NDArray[np.float64]]:
    found = beats.find(heard(mix))
    return (found.tempo_bpm, found.times_s) if found else (0.0, np.zeros(0))


def librosas(mix: Sound) -> tuple[float, NDArray[np.float64]]:
    """Its beats, and the tempo taken from them just as ours is: its own is that of a coarse bin."""
    import librosa  # noqa: PLC0415  (it may not be there)

    _, frames = librosa.beat.beat_track(y=mix.mean(axis=0), sr=RATE_HZ)
    times_s = librosa.frames_to_time(frames, sr=RATE_HZ)
    return (beats.tempo_of(times_s), times_s) if len(times_s) > 4 else (0.0, times_s)


def signature(one: Song) -> int:
    onsets = heard(one.mix)
    found = beats.find(onsets)
    drums = heard(taken_apart(one.mix, one.rate_hz)["drums"])
    return metre_of(found, onsets, drums).beats_a_bar if found else 0


def heard(mix: Sound) -> Onsets:
    listener = Listener()
    listener.hear(mix.mean(axis=0))
    return listener.end()


def measure(mix: Sound, seconds: float) -> None:
    """A whole task, as a worker does it."""
    settings = json.dumps({"min_free_bytes": 0})
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as folder:
        save(Path(folder, "song.wav"), np.tile(mix, -(-int(seconds * 44_100) // mix.shape[1])))
        command = [sys.executable, "-c", WORKER, folder, settings]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=7_200, env={**os.environ})
        result = json.loads(done.stdout)
    about = result["file_info"]
    print(f"a song of {seconds:g} s, {about['channels']} channels at {about['sample_rate']} Hz:")
    for line in told(result, seconds):
        print(f"  {line}")


def told(result: dict[str, Any], seconds: float) -> Iterator[str]:
    spent = result["processing_s"]
    yield f"{sum(spent.values()) / seconds:.3f} s for each second of sound, {sum(spent.values()):.1f} s in all"
    yield f"{result['cpu_s'] / seconds:.3f} s of a processor for each second, ffmpeg's included"
    yield ", ".join(f"{step} {step_s:.1f} s" for step, step_s in spent.items())
    yield f"most memory of the worker: {result['peak_bytes'] / 1e6:.0f} MB"
    yield f"tempo {result['beat_analysis'].get('tempo_bpm')}, beats {result['beat_analysis'].get('beat_count')}"


if __name__ == "__main__":
    main()
