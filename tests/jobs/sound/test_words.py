"""What is sung, written down. The engine is a stand-in that answers in numpy's numbers, as faster-whisper does."""

import shutil
import sys

import msgspec
import pytest

from progresshub.jobs.functions import Context
from progresshub.jobs.sound.song import take_apart
from progresshub.report import Reporter
from progresshub.settings import Audio
from tests.songs import save, song

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

ENGINE = """
from types import SimpleNamespace as Made
import numpy as np

class WhisperModel:
    def __init__(self, path, *, device, compute_type, local_files_only):
        assert local_files_only

    def transcribe(self, sound, *, language, word_timestamps):
        if language == "xx":
            raise ValueError("'xx' is not a valid language code")
        assert (sound.shape, sound.dtype, word_timestamps) == ((32_000,), np.float32, True)
        la = {"word": " la", "probability": np.float64(0.9)}
        words = [Made(start=np.float64(at), end=np.float64(at + 0.5), **la) for at in (0, 1)]
        spoken = Made(start=np.float64(0), end=np.float64(1.5), text=" la la", words=words)
        return iter([spoken]), Made(language=language or "fr", language_probability=np.float32(0.75))
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A task's directory with a song of two seconds, on a machine that has an engine and a model `small`."""
    for name in ("packages", "models/small", "task"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "packages" / "faster_whisper.py").write_text(ENGINE)
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / "models" / "small" / name).touch()
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.delitem(sys.modules, "faster_whisper", raising=False)
    save(tmp_path / "task" / "song.wav", song(120, 2, rate_hz=8_000).mix, 8_000)
    yield tmp_path / "task"
    sys.modules.pop("faster_whisper", None)


def taken_apart(directory, language):
    context = Context(Reporter(), task_id="1", attempt=1, directory=directory)
    settings = Audio(whisper_models=str(directory.parent / "models"), min_free_bytes=0)
    return take_apart(context, {"file": "song.wav", "language": language}, msgspec.to_builtins(settings))


@pytest.mark.parametrize(("asked", "told"), [("en", "en"), ("auto", "fr"), (None, "fr")])
def test_words_are_written_down_with_their_times(directory, asked, told):
    result = taken_apart(directory, asked)

    assert result["transcription"] == {"file": "song_transcription.json", "language": told, "word_count": 2}
    assert msgspec.json.decode((directory / "song_transcription.json").read_bytes()) == {
        "language": told,
        "language_probability": 0.75,
        "duration": 2.0,
        "text": "la la",
        "word_count": 2,
        "segments": [
            {
                "start": 0.0,
                "end": 1.5,
                "text": "la la",
                "words": [
                    {"word": "la", "start": 0.0, "end": 0.5, "probability": 0.9},
                    {"word": "la", "start": 1.0, "end": 1.5, "probability": 0.9},
                ],
            }
        ],
    }


def test_words_that_can_not_be_had_do_not_fail_the_song(directory):
    result = taken_apart(directory, "xx")

    assert result["transcription"] == {"error": "'xx' is not a valid language code"}
    assert len(result["output_files"]) >= 4
