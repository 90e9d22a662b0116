"""The fonts of this machine, and which of them has which character.

The best text font there is comes first; a character that it lacks is looked up by fontconfig. Without
fontconfig and without any font, Pillow's own serves, which has the letters of Europe.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, cast

from PIL import ImageFont

Weight = Literal["regular", "bold", "mono"]
Font = ImageFont.FreeTypeFont

SANS = "Inter,Noto Sans,Open Sans,Source Sans 3,Roboto,Lato,Liberation Sans,DejaVu Sans,sans-serif"
MONO = "JetBrains Mono,Fira Code,Noto Sans Mono,Source Code Pro,DejaVu Sans Mono,Liberation Mono,monospace"
EMOJI = "Noto Color Emoji,emoji:charset=1f600"
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
USUAL = {"regular": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "mono": "DejaVuSansMono.ttf"}
SCRIPTS = {"zh": "zh-cn", "cmn": "zh-cn", "yue": "zh-hk"}
"""What fontconfig calls languages that are written in more than one way."""
EMOJI_SIZE = 109
"""The one size that bitmap fonts of emoji have."""
MATCH_S = 20.0
BLOCK = 128
"""Characters that a font has together: fontconfig, which is slow, is asked once for so many."""
NOWHERE = "\U0010fffe"

_PICTURES = re.compile(
    r"[\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab"
    r"\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e"
    r"\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f004\U0001f0cf\U0001f18e"
    r"\U0001f191-\U0001f19a\U0001f1e6-\U0001f6ff\U0001f7e0-\U0001f7eb\U0001f90c-\U0001f9ff\U0001fa70-\U0001faff]"
)
"""What is an emoji unless the text says otherwise: Unicode's property Emoji_Presentation."""

_STYLES = {"regular": ":weight=80", "bold": ":weight=200", "mono": ":weight=80"}


class Face(NamedTuple):
    """A font file and the number of the font in it; Pillow's own has no path. Emoji are pictures, not outlines."""

    path: str = ""
    number: int = 0
    emoji: bool = False


class Fonts:
    """The fonts for text in one language; `family` goes before all others. `lacking` are characters that none has."""

    def __init__(self, language: str, family: str = "") -> None:
        self._language = SCRIPTS.get(language, language)
        self._family = f"{family}," if family else ""
        self._faces: dict[tuple[Weight, str, bool], Face] = {}
        self.lacking: set[str] = set()
        self._asked: set[tuple[Weight, int]] = set()

    def primary(self, weight: Weight) -> Face:
        families = self._family + SANS if weight != "mono" else MONO
        return _matched(f"{families}{_STYLES[weight]}") or _usual(weight)

    def face(self, sign: str, weight: Weight, *, emoji: bool | None = None) -> Face:
        """The face to show a character with; as an emoji if that is said, or else if it usually is one."""
        key = (weight, sign, is_emoji(sign) if emoji is None else emoji)
        if key not in self._faces:
            self._faces[key] = self._search(*key)
        return self._faces[key]

    def _search(self, weight: Weight, sign: str, emoji: bool) -> Face:
        primary = self.primary(weight)
        if emoji and (found := _emoji()) and has(found, sign):
            return found
        if has(primary, sign):
            return primary
        for known in {face for (other, *_), face in self._faces.items() if other == weight and not face.emoji}:
            if has(known, sign):
                return known
        if (found := self._asked_for(sign, weight)) and has(found, sign):
            return found
        self.lacking.add(sign)
        return primary

    def _asked_for(self, sign: str, weight: Weight) -> Face | None:
        """What fontconfig has for a character, unless it was asked for one near it before."""
        if (asked := (weight, ord(sign) // BLOCK)) in self._asked:
            return None
        self._asked.add(asked)
        return _matched(f"sans-serif{_STYLES[weight]}:lang={self._language}:charset={ord(sign):x}")


@lru_cache(maxsize=256)
def sized(face: Face, size: int) -> Font:
    if not face.path:
        default = ImageFont.load_default(size)
        return cast("Font", default)
    return ImageFont.truetype(face.path, EMOJI_SIZE if face.emoji else size, index=face.number)


@lru_cache(maxsize=16_384)
def has(face: Face, sign: str) -> bool:
    """Whether the character looks different from one that no font has."""
    if sign.isspace():
        return True
    font = sized(face, 24)
    shown, absent = font.getmask(sign), _absent(face)
    return (shown.size, bytes(shown)) != absent


def is_emoji(sign: str) -> bool:
    return _PICTURES.match(sign) is not None


@cache
def _absent(face: Face) -> tuple[tuple[int, int], bytes]:
    mask = sized(face, 24).getmask(NOWHERE)
    return mask.size, bytes(mask)


def _emoji() -> Face | None:
    found = _matched(EMOJI)
    return found if found and found.emoji else None


@cache
def _matched(pattern: str) -> Face | None:
    """What fontconfig thinks nearest to a pattern."""
    argv = ["fc-match", "--format", "%{file}\n%{index}", pattern]
    try:
        said = subprocess.run(argv, capture_output=True, text=True, timeout=MATCH_S, check=True).stdout
        path, index = said.split("\n")
        face = Face(path, int(index) & 0xFFFF, emoji="emoji" in Path(path).name.lower())
        sized(face, 24)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return face


@cache
def _usual(weight: Weight) -> Face:
    for folder in FOLDERS:
        for path in folder.rglob(USUAL[weight]):
            return Face(str(path))
    return Face()
