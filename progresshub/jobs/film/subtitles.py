"""Subtitles and chapters, as text: what is said when, and where each slide begins.

A sentence is shown in cues of at most two lines; each gets its share of the sentence's time.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from progresshub.jobs.film.timeline import Passage, Sentence

LINE_CHARS = 42
WIDE_LINE_CHARS = 20
LINES = 2


class Cue(NamedTuple):
    start_s: float
    end_s: float
    text: str


def cues(passages: Iterable[Passage]) -> list[Cue]:
    return [cue for passage in passages for sentence in passage.sentences for cue in _cues(sentence)]


def vtt(cues: Sequence[Cue]) -> str:
    """As WebVTT, with the characters escaped that would be markup."""
    return "\n".join(["WEBVTT\n", *(f"{_span(cue, '.')}\n{_escaped(cue.text)}\n" for cue in cues)])


def srt(cues: Sequence[Cue]) -> str:
    return "\n".join(f"{number}\n{_span(cue, ',')}\n{cue.text}\n" for number, cue in enumerate(cues, 1))


def chapters(title: str, passages: Sequence[Passage], titles: Sequence[str]) -> str:
    """In the words of ffmpeg's metadata files."""
    parts = [
        f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={_ms(passage.start_s)}\nEND={_ms(passage.end_s)}\ntitle={_plain(name)}\n"
        for passage, name in zip(passages, titles, strict=True)
    ]
    return f";FFMETADATA1\ntitle={_plain(title)}\n{''.join(parts)}"


def _cues(sentence: Sentence) -> Iterator[Cue]:
    width = WIDE_LINE_CHARS if sum(map(_is_wide, sentence.text)) * 2 > len(sentence.text) else LINE_CHARS
    lines = textwrap.wrap(sentence.text, width)
    texts = ["\n".join(lines[at : at + LINES]) for at in range(0, len(lines), LINES)]
    whole, start_s = sum(map(len, texts)), sentence.start_s
    for text in texts:
        end_s = start_s + (sentence.end_s - sentence.start_s) * len(text) / whole
        yield Cue(start_s, end_s, text)
        start_s = end_s


def _is_wide(sign: str) -> bool:
    return sign >= "\u2e80"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """With a backslash before what the metadata format would take for its own."""
    return "".join(f"\\{sign}" if sign in "=;#\\\n" else sign for sign in text)


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_s, point)} --> {_clock(cue.end_s, point)}"


def _clock(second: float, point: str) -> str:
    whole, ms = divmod(_ms(second), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{ms:03}"


def _ms(second: float) -> int:
    return round(1000 * second)
