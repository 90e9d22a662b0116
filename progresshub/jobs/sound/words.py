"""The words that are sung, by faster-whisper, where it is installed and its model lies on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from progresshub.jobs.sound.decoding import decode

RATE_HZ = 16_000
_FILES = ("model.bin", "tokenizer.json")
"""What faster-whisper needs of a model; without the second it would fetch one of its own."""


def why_not(directory: str, model: str) -> str:
    """What keeps the model from being used, in words; empty when nothing does."""
    if not directory:
        return "audio.whisper_models is not set"
    if importlib.util.find_spec("faster_whisper") is None:
        return "faster-whisper is not installed"
    absent = [name for name in _FILES if not Path(directory, model, name).is_file()]
    return f"the model {model} of audio.whisper_models has no {absent[0]}" if absent else ""


def transcribe(
    path: Path, model: Path, language: str | None, duration_s: float, on_progress: Callable[[float], None]
) -> dict[str, Any]:
    """Text, segments and words with their times; its numbers may be numpy's, ours are those of JSON."""
    from faster_whisper import WhisperModel  # noqa: PLC0415  (heavy, and seldom there)

    whisper = WhisperModel(str(model), device="cpu", compute_type="int8", local_files_only=True)
    pieces = list(decode(path, rate_hz=RATE_HZ, channels=1, most_s=duration_s + 1))
    sound = np.concatenate(pieces, axis=1)[0]
    asked = None if language in (None, "auto") else language
    found, about = whisper.transcribe(sound, language=asked, word_timestamps=True)
    segments = []
    for segment in found:
        segments.append(_segment(segment))
        on_progress(min(1.0, float(segment.end) / duration_s))
    return {
        "language": about.language,
        "language_probability": _rounded(about.language_probability),
        "duration": duration_s,
        "text": " ".join(segment["text"] for segment in segments),
        "word_count": sum(len(segment["words"]) for segment in segments),
        "segments": segments,
    }


def _segment(segment: Any) -> dict[str, Any]:
    words: Iterable[Any] = segment.words or ()
    return {
        "start": _rounded(segment.start),
        "end": _rounded(segment.end),
        "text": segment.text.strip(),
        "words": [
            {
                "word": word.word.strip(),
                "start": _rounded(word.start),
                "end": _rounded(word.end),
                "probability": _rounded(word.probability),
            }
            for word in words
        ],
    }


def _rounded(value: Any) -> float:
    return round(float(value), 3)
