"""Songs made for tests: drums, bass, a voice and a pad whose stems and beats are known.

Everything follows from the arguments. Sound is float32, channels first, and peaks at -1 dB.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Sound = NDArray[np.float32]

RATE_HZ = 44_100
PEAK = 0.89
CHORDS = ((0, 4, 7, 11), (9, 12, 16, 19), (5, 9, 12, 16), (7, 11, 14, 17))
"""Semitones above the key: a turn that half of all pop songs have."""
PLAYED_BY = {"bass": "bass", "chord": "other"}
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480), (300, 870, 2240))
"""The first three formants of men's vowels, in Hz; G. Peterson and H. Barney (1952)."""


@dataclass(frozen=True)
class Song:
    """`stems` add up to the mix; `beats_s` are the quarter notes."""

    stems: dict[str, Sound]
    beats_s: NDArray[np.float64]
    rate_hz: int

    @cached_property
    def mix(self) -> Sound:
        mix: Sound = np.sum(list(self.stems.values()), axis=0, dtype=np.float32)
        return mix


def song(
    bpm: float = 120.0,
    seconds: float = 12.0,
    *,
    rate_hz: int = RATE_HZ,
    swing: float = 0.0,
    busy: bool = False,
    beats_a_bar: int = 4,
    seed: int = 1,
) -> Song:
    """`swing` moves every second eighth note later, by up to a third of a beat; `busy` drums play sixteenths."""
    chance = np.random.default_rng(seed)
    player = _Player(bpm, seconds, rate_hz=rate_hz, swing=swing, beats_a_bar=beats_a_bar, chance=chance)
    stems = {
        "vocals": player.voice(),
        "drums": player.drums(busy=busy),
        "bass": player.bass(),
        "other": player.pad(),
    }
    return Song(_levelled(stems), player.beats_s, rate_hz)


def machine(bpm: float, seconds: float, bar: dict[str, str], *, rate_hz: int = RATE_HZ, seed: int = 1) -> Song:
    """A bar of four beats over and over, as a drum machine plays it: an x for each sixteenth that is struck, in a line
    for each of kick, snare, hat, bass and chord."""
    chance = np.random.default_rng(seed)
    player = _Player(bpm, seconds, rate_hz=rate_hz, swing=0.0, beats_a_bar=4, chance=chance)
    return Song(_levelled(player.repeated(bar)), player.beats_s, rate_hz)


def _levelled(stems: dict[str, Sound]) -> dict[str, Sound]:
    loudest = float(np.abs(np.sum(list(stems.values()), axis=0)).max())
    return {name: (sound * (PEAK / loudest)).astype(np.float32) for name, sound in stems.items()}


def save(path: Path, sound: Sound, rate_hz: int = RATE_HZ) -> Path:
    """Write 16-bit WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.shape[0])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(sound, -1, 1) * 32_767).round().astype("<i2").T.tobytes())
    return path


def load(path: Path) -> tuple[NDArray[np.int32], int]:
    """The samples of 24-bit WAV as whole numbers, channels first, and their rate."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 3
        raw = np.frombuffer(file.readframes(file.getnframes()), np.uint8).reshape(-1, 3)
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 1:] = raw
        samples = (wide.view("<i4") >> 8).reshape(-1, file.getnchannels()).T
        return samples, file.getframerate()


def sdr_db(known: NDArray[Any], found: NDArray[Any]) -> float:
    """Signal to distortion: the energy of the stem over that of the difference."""
    return float(10 * np.log10((known**2).sum() / (((known - found) ** 2).sum() + 1e-12) + 1e-12))


def by_band(mix: Sound, rate_hz: int) -> dict[str, Sound]:
    """What everybody would try first: filters, and the middle as the voice."""
    low = signal.sosfiltfilt(signal.butter(4, 180, "low", fs=rate_hz, output="sos"), mix)
    high = signal.sosfiltfilt(signal.butter(4, min(6_000, 0.4 * rate_hz), "high", fs=rate_hz, output="sos"), mix)
    middle = np.broadcast_to(mix.mean(axis=0), mix.shape) - low - high
    stems = {"vocals": middle, "drums": high, "bass": low, "other": mix - middle - low - high}
    return {name: stem.astype(np.float32) for name, stem in stems.items()}


def f_measure(known_s: NDArray[np.float64], found_s: NDArray[np.float64], within_s: float = 0.07) -> float:
    """How well beats are found: harmonic mean of precision and recall, each beat matched at most once."""
    hits, rest = 0, list(found_s)
    for beat_s in known_s:
        near = [other for other in rest if abs(other - beat_s) <= within_s]
        if near:
            rest.remove(min(near, key=lambda other: abs(other - beat_s)))
            hits += 1
    return 2 * hits / (len(known_s) + len(found_s)) if len(known_s) + len(found_s) else 1.0


class _Player:
    """One song's instruments, which all keep to its time."""

    def __init__(
        self, bpm: float, seconds: float, *, rate_hz: int, swing: float, beats_a_bar: int, chance: np.random.Generator
    ) -> None:
        self.rate_hz = rate_hz
        self.samples = int(seconds * rate_hz)
        self.beat_s = 60 / bpm
        self.beats_s = np.arange(0.25, seconds - 0.05, self.beat_s)
        self.swing_s = swing * self.beat_s / 3
        self.beats_a_bar = beats_a_bar
        self.chance = chance
        self.key_hz = 55.0 * 2 ** (chance.integers(0, 6) / 12)

    def drums(self, *, busy: bool) -> Sound:
        track = self._silence()
        for number, beat_s in enumerate(self.beats_s):
            downbeat = number % self.beats_a_bar == 0
            if downbeat or (self.beats_a_bar == 4 and number % 4 == 2):
                self._add(track, beat_s, self._kick(1.2 if downbeat else 1.0))
            else:
                self._add(track, beat_s, self._snare())
            for part in range(4 if busy else 2):
                late_s = self.swing_s if part % 2 else 0.0
                offset_s = part * self.beat_s / (4 if busy else 2)
                self._add(track, beat_s + offset_s + late_s, self._hat(), left=0.35)
        return track

    def bass(self) -> Sound:
        track = self._silence()
        for number, beat_s in enumerate(self.beats_s):
            note_hz = self.key_hz * 2 ** ((CHORDS[self._bar(number) % 4][0] % 12) / 12)
            for eighth in range(2):
                if self.chance.random() < 0.85:
                    start_s = beat_s + eighth * self.beat_s / 2 + (self.swing_s if eighth else 0.0)
                    self._add(track, start_s, self._pluck(note_hz, self.beat_s * 0.45))
        return track

    def pad(self) -> Sound:
        """Broad chords, a little different on each side, and single notes far to one side."""
        track = self._silence()
        for number, beat_s in enumerate(self.beats_s):
            chord = CHORDS[self._bar(number) % 4]
            if number % self.beats_a_bar == 0:
                length_s = self.beats_a_bar * self.beat_s
                for side in (0, 1):
                    self._add_to(track[side], beat_s, sum(self._string(4 * self._hz(tone), length_s) for tone in chord))
            left = (0.2, 0.8)[number % 2]
            tone = 8 * self._hz(chord[number % len(chord)])
            self._add(track, beat_s + self.beat_s / 2, 0.5 * self._string(tone, self.beat_s / 2), left=left)
        return track * np.float32(0.09)

    def voice(self) -> Sound:
        """Syllables with vibrato in the middle, each a consonant and a vowel, now and then a pause."""
        track = self._silence()
        for start_s, length_s in self._syllables():
            tone_hz = 4 * self._hz(int(self.chance.choice([0, 2, 4, 5, 7, 9])))
            vowel = VOWELS[int(self.chance.integers(len(VOWELS)))]
            sung = self._vowel(tone_hz, vowel, length_s)
            consonant = self._noise(0.05) * self._fade(0.05, 0.02) * 0.12
            self._add(track, start_s, 0.9 * sung)
            self._add(track, start_s - 0.03, consonant)
        return track * np.float32(0.55)

    def repeated(self, bar: dict[str, str]) -> dict[str, Sound]:
        stems = {name: self._silence() for name in ("vocals", "drums", "bass", "other")}
        for number, beat_s in enumerate(self.beats_s):
            for part in range(4):
                at_s = beat_s + part * self.beat_s / 4
                for line in (name for name, steps in bar.items() if steps[number % 4 * 4 + part] == "x"):
                    self._add(stems[PLAYED_BY.get(line, "drums")], at_s, self._struck(line, self._bar(number)))
        return stems

    def _struck(self, line: str, bar: int) -> Sound:
        chord = CHORDS[bar % len(CHORDS)]
        if line == "bass":
            return self._pluck(self._hz(chord[0]), self.beat_s * 0.4)
        if line == "chord":
            tones = [0.6 * self._pluck(4 * self._hz(tone), self.beat_s * 0.4) for tone in chord]
            return np.asarray(np.sum(tones, axis=0), np.float32)
        return {"kick": lambda: self._kick(1.0), "snare": self._snare, "hat": self._hat}[line]()

    def _syllables(self) -> Iterator[tuple[float, float]]:
        at_s = float(self.beats_s[0]) + self.beat_s * 0.5
        while at_s < self.samples / self.rate_hz - 0.5:
            length_s = self.beat_s * float(self.chance.choice([0.5, 1.0, 1.5]))
            if self.chance.random() < 0.85:
                yield at_s + float(self.chance.normal(0, 0.02)), length_s * 0.95
            at_s += length_s

    def _kick(self, gain: float) -> Sound:
        t = self._time(0.25)
        return (gain * np.sin(2 * np.pi * (48 * t + 6.0 * (1 - np.exp(-t * 28)))) * np.exp(-t * 14)).astype(np.float32)

    def _snare(self) -> Sound:
        t = self._time(0.2)
        shell = 0.4 * np.sin(2 * np.pi * 190 * t) * np.exp(-t * 28)
        return (shell + 0.55 * self._noise(0.2) * np.exp(-t * 22)).astype(np.float32)

    def _hat(self) -> Sound:
        t = self._time(0.07)
        bright = np.diff(self._noise(0.07), n=2, prepend=[0.0, 0.0])
        gain = 0.12 * float(self.chance.uniform(0.7, 1.0))
        return np.asarray(gain * bright * np.exp(-t * 70), np.float32)

    def _pluck(self, hz: float, length_s: float) -> Sound:
        t = self._time(length_s)
        parts = [np.sin(2 * np.pi * hz * n * t) / n**1.6 * np.exp(-t * (2 + n)) for n in range(1, 9)]
        return np.asarray(0.5 * np.sum(parts, axis=0) * self._fade(length_s, 0.008), np.float32)

    def _string(self, hz: float, length_s: float) -> Sound:
        t = self._time(length_s)
        detuned = hz * 2 ** (float(self.chance.normal(0, 0.06)) / 12)
        most = max(1, min(12, int(0.45 * self.rate_hz / detuned)))
        phases = self.chance.uniform(0, 2 * np.pi, most)
        parts = [np.sin(2 * np.pi * detuned * n * t + phases[n - 1]) / n for n in range(1, most + 1)]
        return np.asarray(np.sum(parts, axis=0) * self._fade(length_s, min(0.12, length_s / 4)), np.float32)

    def _vowel(self, hz: float, formants: tuple[int, ...], length_s: float) -> Sound:
        t = self._time(length_s)
        vibrato = 1 + 0.012 * np.sin(2 * np.pi * 5.5 * t) * np.minimum(1, t / 0.2)
        glide = 2 ** (-0.12 * np.exp(-t * 30))
        phase = 2 * np.pi * np.cumsum(hz * vibrato * glide) / self.rate_hz
        sung = np.zeros_like(t)
        for n in range(1, max(2, int(min(5_500, 0.45 * self.rate_hz) / hz))):
            gain = sum(1 / (1 + ((n * hz - formant) / (60 + 0.06 * formant)) ** 2) for formant in formants)
            sung += (gain + 0.02) / n**0.5 * np.sin(n * phase)
        return (sung * self._fade(length_s, min(0.04, length_s / 4))).astype(np.float32)

    def _hz(self, semitones: int) -> float:
        return float(self.key_hz * 2 ** (semitones / 12))

    def _bar(self, beat: int) -> int:
        return beat // self.beats_a_bar

    def _time(self, seconds: float) -> NDArray[np.float64]:
        return np.arange(int(seconds * self.rate_hz)) / self.rate_hz

    def _noise(self, seconds: float) -> NDArray[np.float64]:
        return self.chance.normal(0, 0.5, int(seconds * self.rate_hz))

    def _fade(self, seconds: float, edge_s: float) -> NDArray[np.float64]:
        window: NDArray[np.float64] = signal.windows.tukey(int(seconds * self.rate_hz), min(1.0, 2 * edge_s / seconds))
        return window

    def _silence(self) -> Sound:
        return np.zeros((2, self.samples), np.float32)

    def _add(self, track: Sound, at_s: float, sound: Any, left: float = 0.5) -> None:
        """With equal power at every place between the sides."""
        for side, gain in ((0, np.cos((1 - left) * np.pi / 2)), (1, np.sin((1 - left) * np.pi / 2))):
            self._add_to(track[side], at_s, gain * sound)

    def _add_to(self, line: NDArray[np.float32], at_s: float, sound: Any) -> None:
        start = max(0, int(at_s * self.rate_hz))
        end = min(len(line), start + len(sound))
        if end > start:
            line[start:end] += sound[: end - start]
