"""The engine demucs, where it is installed and its weights lie in a directory of this machine.

Nothing is ever fetched. torch is imported only when a song is worked on with it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from progresshub.jobs.sound.decoding import Sound
from progresshub.jobs.sound.failures import Unfit

_QUIETEST = 1e-8


class Demucs:
    """One model, loaded."""

    block_s = 16.0
    overlap_s = 2.0

    def __init__(self, directory: Path, model: str) -> None:
        from demucs.pretrained import get_model  # noqa: PLC0415  (torch takes seconds and hundreds of megabytes)
        from demucs.repo import ModelLoadingError  # noqa: PLC0415

        try:
            self._model: Any = get_model(model, repo=directory)
        except ModelLoadingError as error:
            reason = str(error).replace(f"{directory}/", "")  # where models lie is nobody's business
            raise Unfit(f"the model {model} can't be loaded: {reason}", "engine") from None
        self.name = f"demucs:{model}"
        self.rate_hz: int | None = int(self._model.samplerate)
        self.channels: int | None = int(self._model.audio_channels)

    def stems(self, mix: Sound, rate_hz: int) -> dict[str, Sound]:
        import torch  # noqa: PLC0415  (see above)
        from demucs.apply import apply_model  # noqa: PLC0415

        middle, spread = float(mix.mean()), float(mix.mean(axis=0).std()) + _QUIETEST
        sound = torch.from_numpy(np.ascontiguousarray((mix - middle) / spread))
        with torch.no_grad():
            found = apply_model(self._model, sound[None], shifts=0, split=True, overlap=0.25)[0].cpu().numpy()
        stems = dict(zip(self._model.sources, found * spread + middle, strict=True))
        return {stem: stems[stem].astype(np.float32) for stem in ("vocals", "drums", "bass")}


def why_not(directory: str, model: str) -> str:
    """What keeps the model from being used, in words; empty when nothing does."""
    if not directory:
        return "audio.demucs_models is not set"
    if importlib.util.find_spec("demucs") is None:
        return "demucs is not installed"
    top = Path(directory)
    if not ((top / f"{model}.yaml").is_file() or any(top.glob(f"{model}*.th"))):
        return f"there is no model {model} in audio.demucs_models"
    return ""
