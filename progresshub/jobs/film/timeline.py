"""When everything in a film happens: each sentence, each slide, and each change of what is in sight.

Made from how long each sentence took to say; the sound track, the pictures, the subtitles and the
chapters all follow it, so they can't disagree. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from progresshub.jobs.film.narration import Line

LEAD_S = 0.4
GAP_S = 0.3
TAIL_S = 0.8
SHORTEST_S = 2.5


class Sentence(NamedTuple):
    text: str
    shown: int
    start_s: float
    end_s: float


class Passage(NamedTuple):
    """One slide's part of the film."""

    start_s: float
    end_s: float
    sentences: tuple[Sentence, ...]

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)

    def views(self) -> Iterator[tuple[int, float]]:
        """How many elements are in sight, and for how long, one after another; together they fill the passage."""
        shown, since_s = 0, self.start_s
        for sentence in self.sentences:
            if sentence.shown != shown:
                yield shown, sentence.start_s - since_s
                shown, since_s = sentence.shown, sentence.start_s
        yield shown, self.end_s - since_s


def passage(
    start_s: float, lines: Sequence[Line], durations_s: Sequence[float], looks_s: Sequence[float] = ()
) -> Passage:
    """The sentences of a slide one after another, with room to breathe around them.

    `looks_s` says of the slide's elements how long each is to be in sight at least.
    """
    now_s = start_s + LEAD_S
    sentences = list[Sentence]()
    for line, duration_s in zip(lines, durations_s, strict=True):
        sentences.append(Sentence(line.text, line.shown, now_s, now_s + duration_s))
        now_s += duration_s + GAP_S
    seen_s = [_since_s(sentences, position) + look_s for position, look_s in enumerate(looks_s)]
    end_s = max(now_s - GAP_S + TAIL_S, start_s + SHORTEST_S, *seen_s)
    return Passage(start_s, end_s, tuple(sentences))


def _since_s(sentences: Sequence[Sentence], position: int) -> float:
    """When the element of that position, from 0, comes into sight: by the last sentence all have."""
    return next(sentence for sentence in sentences if sentence.shown > position).start_s
