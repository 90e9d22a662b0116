"""Which yt-dlp is used, how old it is, and how a newer one gets here."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yt_dlp.version

from progresshub import release
from progresshub.release import Release, UpdateFailed

INSTALLED = yt_dlp.version.__version__


def lay(place: Path, version: str) -> None:
    (place / "yt_dlp").mkdir(parents=True)
    (place / "yt_dlp" / "version.py").write_text(f"__version__ = '{version}'\n")


def wheel(folder: Path, version: str) -> None:
    """A yt-dlp that does nothing, as a package that can be installed."""
    info = f"yt_dlp-{version}.dist-info"
    with zipfile.ZipFile(folder / f"yt_dlp-{version}-py3-none-any.whl", "w") as package:
        package.writestr("yt_dlp/__init__.py", "")
        package.writestr("yt_dlp/version.py", f"__version__ = '{version}'\n")
        package.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: yt-dlp\nVersion: {version}\n")
        package.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        package.writestr(f"{info}/RECORD", "")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are taken from, and from nowhere else."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def test_without_an_update_the_installed_one_is_used(tmp_path: Path) -> None:
    assert release.chosen(tmp_path) == Release(INSTALLED, None)


def test_an_update_is_used_while_it_is_the_newer_one(tmp_path: Path) -> None:
    for name, version in (("newer", "2999.01.02"), ("older", "2020.12.31")):
        lay(tmp_path / name / release.DIRECTORY / version, version)

    newer, older = release.chosen(tmp_path / "newer"), release.chosen(tmp_path / "older")

    assert newer == Release("2999.01.02", tmp_path / "newer" / release.DIRECTORY / "2999.01.02")
    assert older == Release(INSTALLED, None)


@pytest.mark.parametrize(
    ("version", "days"), [("2026.10.26", 25), ("2026.11.20.123456", 0), ("2026.13.99", None), ("7", None)]
)
def test_a_version_tells_its_age(version: str, days: int | None) -> None:
    assert Release(version, None).age_days(date(2026, 11, 20)) == days


@pytest.mark.parametrize(
    ("version", "warned"), [("2020.01.01", "progresshub update-ytdlp"), ("2999.01.01", ""), (None, "not installed")]
)
def test_an_old_one_is_warned_of(version: str | None, warned: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        release.warn_if_old(None if version is None else Release(version, None))

    assert warned in caplog.text
    assert bool(caplog.text) == bool(warned)


def test_the_newest_update_is_used_and_the_one_before_is_kept(shelf: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    updates = []
    for version in ("2997.1.1", "2998.1.1", "2999.1.1", "2999.1.1"):
        wheel(shelf, version)
        updates.append(release.update(data))

    assert [update.version for update in updates] == ["2997.1.1", "2998.1.1", "2999.1.1", "2999.1.1"]
    assert release.chosen(data) == updates[-1]
    assert sorted(path.name for path in (data / release.DIRECTORY).iterdir()) == ["2998.1.1", "2999.1.1"]


def test_an_update_that_fails_leaves_the_one_before(shelf: Path, tmp_path: Path) -> None:
    before = tmp_path / "data" / release.DIRECTORY / "2998.01.01"
    lay(before, "2998.01.01")

    with pytest.raises(UpdateFailed) as caught:
        release.update(tmp_path / "data")

    assert "yt-dlp" in caught.value.message
    assert release.chosen(tmp_path / "data") == Release("2998.01.01", before)


def test_the_command_says_what_it_got(shelf: Path, tmp_path: Path) -> None:
    wheel(shelf, "2020.1.1")
    command = [sys.executable, "-m", "progresshub", "update-ytdlp", "--data-dir", str(tmp_path / "data")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (done.returncode, done.stdout) == (0, "2020.1.1\n"), done.stderr
    assert f"not used, for {INSTALLED} is installed" in done.stderr
