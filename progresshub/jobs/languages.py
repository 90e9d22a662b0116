"""The languages a narration may be in: their names, what espeak-ng calls them, and their ISO 639-2 codes.

A language is found by its English name or by its code, in any case.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import NamedTuple

RIGHT_TO_LEFT = frozenset({"ara", "fas", "heb", "urd"})


class Language(NamedTuple):
    """`code` is the usual one of two letters, `voice` espeak-ng's, `iso` what media files carry."""

    name: str
    code: str
    voice: str
    iso: str

    @property
    def right_to_left(self) -> bool:
        return self.iso in RIGHT_TO_LEFT


_TABLE = """
afrikaans af af afr · albanian sq sq sqi · amharic am am amh · arabic ar ar ara · armenian hy hy hye
azerbaijani az az aze · basque eu eu eus · belarusian be be bel · bengali bn bn ben · bosnian bs bs bos
bulgarian bg bg bul · catalan ca ca cat · chinese zh cmn zho · mandarin cmn cmn zho · cantonese yue yue yue
croatian hr hr hrv · czech cs cs ces · danish da da dan · dutch nl nl nld · english en en-us eng
american en-us en-us eng · british en-gb en-gb eng · esperanto eo eo epo · estonian et et est · finnish fi fi fin
french fr fr-fr fra · georgian ka ka kat · german de de deu · greek el el ell · gujarati gu gu guj · hebrew he he heb
hindi hi hi hin · hungarian hu hu hun · icelandic is is isl · indonesian id id ind · irish ga ga gle
italian it it ita · japanese ja ja jpn · kannada kn kn kan · kazakh kk kk kaz · korean ko ko kor · latin la la lat
latvian lv lv lav · lithuanian lt lt lit · macedonian mk mk mkd · malay ms ms msa · malayalam ml ml mal
marathi mr mr mar · nepali ne ne nep · norwegian no nb nor · persian fa fa fas · polish pl pl pol
portuguese pt pt por · brazilian pt-br pt-br por · punjabi pa pa pan · romanian ro ro ron · russian ru ru rus
serbian sr sr srp · sinhala si si sin · slovak sk sk slk · slovenian sl sl slv · spanish es es spa
swahili sw sw swa · swedish sv sv swe · tamil ta ta tam · telugu te te tel · thai th th tha · turkish tr tr tur
ukrainian uk uk ukr · urdu ur ur urd · uzbek uz uz uzb · vietnamese vi vi vie · welsh cy cy cym
"""

LANGUAGES = tuple(Language(*entry.split()) for line in _TABLE.split("\n") for entry in line.split("·") if entry)
NAMES = tuple(language.name for language in LANGUAGES)

_FOUND = {key: language for language in LANGUAGES for key in (language.name, language.code)}

_SCRIPTS = {
    script: codes.split()
    for script, codes in {
        "ARABIC": "ar fa ur",
        "ARMENIAN": "hy",
        "BENGALI": "bn",
        "CJK": "zh cmn yue ja",
        "CYRILLIC": "ru be bg kk mk sr uk uz",
        "DEVANAGARI": "hi mr ne",
        "ETHIOPIC": "am",
        "GEORGIAN": "ka",
        "GREEK": "el",
        "GUJARATI": "gu",
        "GURMUKHI": "pa",
        "HANGUL": "ko",
        "HEBREW": "he",
        "HIRAGANA": "ja",
        "KANNADA": "kn",
        "KATAKANA": "ja",
        "MALAYALAM": "ml",
        "SINHALA": "si",
        "TAMIL": "ta",
        "TELUGU": "te",
        "THAI": "th",
    }.items()
}
"""Scripts, as Unicode's names of letters begin, and the codes of the languages written in them, the usual one first."""
_KANA = ("HIRAGANA", "KATAKANA")


def of_text(text: str, usual: Language) -> Language:
    """The usual language, unless most of a text's letters are of a script that it is not written in."""
    found = Counter(unicodedata.name(sign, "").partition(" ")[0] for sign in text if sign.isalpha())
    if any(script in found for script in _KANA):
        found["HIRAGANA"] += found.pop("CJK", 0)
    script = max(found, key=lambda script: found[script], default="")
    codes = _SCRIPTS.get(script)
    return usual if codes is None or usual.code in codes else _FOUND[codes[0]]


def find(asked: str) -> Language | None:
    """The language of that name or code."""
    return _FOUND.get(asked.strip().lower().replace("_", "-"))
