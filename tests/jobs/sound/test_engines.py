"""Which engine and which model are used: those of this machine, and nothing is fetched."""

import importlib.util
import subprocess
import sys

import pytest

from progresshub.jobs.sound import demucs, engines, words
from progresshub.jobs.sound.engines import engine_for
from progresshub.jobs.sound.failures import Unfit
from progresshub.settings import Audio


@pytest.fixture
def installed(monkeypatch):
    """A machine on which every package is there."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)


class Loaded:
    def __init__(self, directory, model):
        self.name = f"demucs:{model} of {directory}"


def test_without_a_directory_of_models_the_built_in_engine_is_used():
    assert engine_for(Audio(), None).name == "builtin"
    assert engine_for(Audio(engine="builtin", demucs_models="/models"), "htdemucs").name == "builtin"


@pytest.mark.parametrize("weights", ["htdemucs_ft.yaml", "htdemucs_ft-1a2b.th"])
def test_a_model_that_is_there_is_used(installed, monkeypatch, tmp_path, weights):
    (tmp_path / weights).touch()
    monkeypatch.setattr(engines, "Demucs", Loaded)
    settings = Audio(demucs_models=str(tmp_path), demucs_model="htdemucs_ft")

    assert engine_for(settings, None).name == f"demucs:htdemucs_ft of {tmp_path}"
    assert engine_for(settings, "another").name == "builtin"


def test_an_engine_that_is_demanded_is_not_replaced(installed, tmp_path):
    with pytest.raises(Unfit, match=r"there is no model mine in audio\.demucs_models"):
        engine_for(Audio(engine="demucs", demucs_models=str(tmp_path)), "mine")


def test_why_demucs_is_not_used_is_said_in_words(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)

    assert demucs.why_not("", "htdemucs") == "audio.demucs_models is not set"
    assert demucs.why_not(str(tmp_path), "htdemucs") == "demucs is not installed"


def test_words_are_had_only_with_a_model_that_is_there_as_a_whole(installed, tmp_path):
    for name in ("small/model.bin", "small/tokenizer.json", "half/model.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert words.why_not("", "small") == "audio.whisper_models is not set"
    assert words.why_not(str(tmp_path), "large") == "the model large of audio.whisper_models has no model.bin"
    assert words.why_not(str(tmp_path), "half") == "the model half of audio.whisper_models has no tokenizer.json"
    assert words.why_not(str(tmp_path), "small") == ""


def test_words_are_not_had_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)

    assert words.why_not(str(tmp_path), "small") == "faster-whisper is not installed"


def test_the_worker_imports_no_model_of_any_kind_and_has_one_thread():
    program = (
        "import sys, os, progresshub.jobs.sound.song;"
        "loaded = {name.partition('.')[0] for name in sys.modules};"
        "print(sorted({'torch', 'demucs', 'faster_whisper', 'librosa', 'numba'} & loaded),"
        "len(os.listdir('/proc/self/task')))"
    )

    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)

    assert child.stdout.strip() == "[] 1"
