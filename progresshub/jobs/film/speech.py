"""Voices that read a sentence into a sound file: piper's where one is configured, else espeak-ng's.

A film has one voice, and espeak-ng's gives way where a sentence is in a script that it can only spell. What a
voice can't read aloud, such as emoji, it is not given.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from progresshub.jobs.film import programs
from progresshub.jobs.film.failures import Unfit
from progresshub.jobs.languages import Language

ESPEAK = "espeak-ng"
SENTENCE_S = 120.0
SILENT = frozenset({"So", "Sk", "Cs", "Co", "Cn", "Cc", "Cf"})


class Voice(NamedTuple):
    """`argv` is completed by the sound file to be written; the text comes over standard input."""

    name: str
    argv: tuple[str, ...]

    def say(self, text: str, path: Path) -> None:
        """Write the sound of a text to a file; one that nobody can read aloud leaves none."""
        if spoken := speakable(text):
            programs.run([*self.argv, path], spoken, timeout_s=SENTENCE_S)

    def of(self, language: Language) -> Voice:
        """The same program's voice for another language, where it has one; what it was asked to vary it varies."""
        if self.argv[0] != ESPEAK:
            return self
        name = language.voice + "".join(self.name.partition("+")[1:])
        return _espeak(name, self.argv[-3])


def choose(language: Language, asked: str | None, models: Sequence[str], words_per_min: int) -> Voice:
    """The voice that was asked for, or the best there is for the language; Unfit when there is none."""
    if model := _model(language, asked, models):
        return Voice(Path(model).stem, ("piper", "-m", model, "-f"))
    if not shutil.which(ESPEAK):
        raise Unfit(f"nothing here speaks {language.name}: install espeak-ng, or name a voice of piper", "missing")
    name = _named(language, asked)
    voice = _espeak(name, str(words_per_min))
    try:
        voice.say("a", Path("/dev/null"))
    except programs.ProgramFailed:
        known = ", ".join(sorted(Path(model).stem for model in models)) or "none of piper is configured"
        raise Unfit(f"there is no voice {name}: espeak-ng does not know it, and {known}", "voice") from None
    return voice


def _espeak(name: str, words_per_min: str) -> Voice:
    return Voice(name, (ESPEAK, "-b", "1", "-v", name, "-s", words_per_min, "--stdin", "-w"))


def speakable(text: str) -> str:
    """Without signs that have no sound, and without what espeak-ng takes for phonemes; empty without a letter."""
    spoken = "".join(" " if unicodedata.category(sign) in SILENT else sign for sign in text)
    spoken = " ".join(spoken.replace("[[", "[ [").split())
    return spoken if any(map(str.isalnum, spoken)) else ""


def _model(language: Language, asked: str | None, models: Sequence[str]) -> str | None:
    """Piper's model of the voice that was asked for, or else of the language."""
    if not shutil.which("piper"):
        return None
    if asked is not None:
        return next((model for model in models if Path(model).stem == asked), None)
    return next((model for model in models if _speaks(model, language)), None)


def _speaks(model: str, language: Language) -> bool:
    """Whether a model's name, such as en_US-amy-medium, begins with the language, and with its region if it has one."""
    spoken = Path(model).stem.partition("-")[0].replace("_", "-").lower()
    return spoken == language.code or spoken.partition("-")[0] == language.code


def _named(language: Language, asked: str | None) -> str:
    """espeak-ng's name of a voice; a variant such as +f3 is added to the language's own."""
    if asked is None:
        return language.voice
    return f"{language.voice}{asked}" if asked.startswith("+") else asked
