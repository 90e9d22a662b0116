"""Which engine takes a song apart."""

from __future__ import annotations

from pathlib import Path

from progresshub.jobs.sound.demucs import Demucs, why_not
from progresshub.jobs.sound.failures import Unfit
from progresshub.jobs.sound.masks import Masks
from progresshub.jobs.sound.separation import Engine
from progresshub.settings import Audio as Settings


def engine_for(settings: Settings, model: str | None) -> Engine:
    """demucs where it can be had and is not ruled out, else the built-in one; Unfit when that is ruled out."""
    model = model or settings.demucs_model
    if settings.engine == "builtin":
        return Masks()
    reason = why_not(settings.demucs_models, model)
    if not reason:
        return Demucs(Path(settings.demucs_models), model)
    if settings.engine == "demucs":
        raise Unfit(reason, "engine")
    return Masks()
