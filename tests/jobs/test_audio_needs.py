"""What songs need of the machine."""

import importlib.util
import shutil

from progresshub.jobs import audio


def test_packages_that_are_missing_are_told_with_the_extra_that_has_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)

    assert "pip install 'progresshub[audio]'" in audio.missing()


def test_a_program_that_is_missing_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "ffprobe" else program)

    assert "ffprobe" in audio.missing()
    assert "install ffmpeg" in audio.missing()


def test_a_machine_with_all_of_it_lacks_nothing(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)
    monkeypatch.setattr(shutil, "which", lambda program: program)

    assert audio.missing() == ""
