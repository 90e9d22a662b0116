"""What a disk that is too small means for a song."""

import errno
import shutil

import msgspec
import pytest

from progresshub.jobs.functions import Context, TaskFailed
from progresshub.jobs.sound.song import take_apart
from progresshub.jobs.sound.stemfiles import StemFiles
from progresshub.report import Reporter
from progresshub.settings import Audio
from tests.songs import save, song

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture
def directory(tmp_path):
    save(tmp_path / "song.wav", song(120, 2, rate_hz=8_000).mix, 8_000)
    return tmp_path


def refusal(directory, **settings):
    context = Context(Reporter(), task_id="1", attempt=1, directory=directory)
    with pytest.raises(TaskFailed) as failed:
        take_apart(context, {"file": "song.wav"}, msgspec.to_builtins(Audio(**settings)))
    return failed.value


def test_stems_that_would_fill_the_disk_are_not_begun(directory):
    free_bytes = shutil.disk_usage(directory).free

    failure = refusal(directory, min_free_bytes=free_bytes + 10**9)

    assert (failure.error_type, failure.retry) == ("storage_full", True)
    assert "MB are to stay free" in str(failure)


def test_a_disk_that_fills_up_is_told_and_keeps_no_halves(directory, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StemFiles, "write", full)

    failure = refusal(directory, min_free_bytes=0)

    assert (failure.error_type, failure.retry) == ("storage_full", True)
    assert [path.name for path in directory.iterdir()] == ["song.wav"]


@pytest.mark.parametrize("name", ["nothing.wav", "link.wav"])
def test_a_file_that_is_not_the_tasks_own_is_not_there(directory, tmp_path_factory, name):
    outside = save(tmp_path_factory.mktemp("outside") / "song.wav", song(120, 1, rate_hz=8_000).mix, 8_000)
    (directory / "link.wav").symlink_to(outside)
    context = Context(Reporter(), task_id="1", attempt=1, directory=directory)

    with pytest.raises(TaskFailed, match=f"there is no file {name}") as failed:
        take_apart(context, {"file": name}, msgspec.to_builtins(Audio()))

    assert not failed.value.retry
