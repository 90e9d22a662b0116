"""Uploaded pictures, opened without trust: by bare names that were announced, within bounds, and of known formats.

How large a picture is going to be is known before the first of its pixels is decoded.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Collection
from pathlib import Path

from PIL import Image, ImageOps

from progresshub.jobs.film.deck import Deck, Picture
from progresshub.jobs.film.failures import Unfit

FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


def check(deck: Deck, uploaded: Collection[str]) -> None:
    """Unfit when a slide shows what was not uploaded; nothing is fetched."""
    for number, slide in enumerate(deck.slides, 1):
        for picture in slide.pictures:
            if picture.name not in uploaded:
                there = ", ".join(uploaded) or "none"
                raise Unfit(
                    f"slide {number} shows {picture.name[:80]!r}, which is not among the uploaded images ({there})",
                    "image",
                )


def load(directory: Path, picture: Picture, most_bytes: int, most_pixels: int) -> Image.Image:
    """The picture, upright and in RGBA."""
    name = picture.name
    try:
        fd = os.open(directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise Unfit(f"the image {name!r} is not there", "image") from None
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_size > most_bytes:
            raise Unfit(f"the image {name!r} is larger than {most_bytes} bytes", "image")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is lower
                opened = Image.open(file, formats=FORMATS)
            if opened.width * opened.height > most_pixels:
                raise Unfit(f"the image {name!r} has more than {most_pixels} pixels", "image")
            return ImageOps.exif_transpose(opened).convert("RGBA")
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise Unfit(f"the image {name!r} can't be read: {_said(error)}", "image") from None


def _said(error: BaseException) -> str:
    """Without where the file is."""
    return "it is no PNG, JPEG, WebP or GIF" if "cannot identify" in str(error) else str(error)
