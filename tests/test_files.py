"""A task's files: listed by the names they have, reached by no other, handed on and taken away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from progresshub.errors import UnknownFile
from progresshub.files import Files

TASK, HEIR = "f47ac10b-58cc-4372-a567-0e02b2c3d479", "0c6a3b5e-58cc-4372-a567-0e02b2c3d479"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def put(files: Files, name: str, text: str = "x", task_id: str = TASK) -> Path:
    path = files.directory(task_id) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_task_that_made_nothing_has_no_files(files: Files) -> None:
    assert files.list(TASK) == []
    assert files.open_log(TASK) is None


def test_files_are_listed_with_their_sizes_wherever_they_lie(files: Files) -> None:
    for name in ("b", "a", "sub/inner/c", "with space", "ünï"):
        put(files, name, name)

    listed = {file.name: file.size_bytes for file in files.list(TASK)}

    assert listed == {name: len(name.encode()) for name in ("b", "a", "sub/inner/c", "with space", "ünï")}


def test_links_hidden_and_special_files_are_not_there(files: Files, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    top = put(files, "plain").parent
    (top / "link").symlink_to(secret)
    (top / "folder").symlink_to(tmp_path)
    (top / ".hidden").write_text("h")
    put(files, ".git/config")
    os.mkfifo(top / "pipe")

    assert [file.name for file in files.list(TASK)] == ["plain"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/etc/passwd", "plain/", "./plain", "sub/../plain", "x\0", "link"]
)
def test_no_other_name_finds_a_file(files: Files, name: str) -> None:
    (put(files, "plain").parent / "link").symlink_to("plain")
    put(files, "sub/inner")
    put(files, "x", task_id=HEIR)

    with pytest.raises(UnknownFile):
        files.find(TASK, name)


def test_a_file_that_is_listed_is_found(files: Files) -> None:
    path = put(files, "sub/inner")

    assert files.find(TASK, "sub/inner") == path


def test_what_was_made_is_handed_to_the_heir(files: Files) -> None:
    put(files, "part", "half")

    files.inherit(TASK, HEIR)
    files.inherit(TASK, HEIR)

    assert files.list(TASK) == []
    assert (files.directory(HEIR) / "part").read_text() == "half"


def test_a_log_is_read_from_where_it_lies_and_not_through_a_link(files: Files, tmp_path: Path) -> None:
    path = files.log(TASK)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"said")

    with files.open_log(TASK) or path.open("rb") as log:
        assert log.read() == b"said"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        files.open_log(TASK)


def test_what_is_removed_leaves_nothing_and_touches_nobody_else(files: Files) -> None:
    put(files, "sub/inner")
    kept = put(files, "x", task_id=HEIR)
    files.log(TASK).parent.mkdir(parents=True)
    files.log(TASK).touch()

    files.remove([TASK])
    files.remove([TASK])

    assert not files.directory(TASK).exists()
    assert not files.log(TASK).exists()
    assert kept.exists()


def test_the_room_is_told_whether_or_not_there_are_files(files: Files, tmp_path: Path) -> None:
    before_bytes = files.free_bytes()
    put(files, "a.txt")

    disk = os.statvfs(tmp_path)
    assert before_bytes > 0
    assert 0 < files.free_bytes() <= disk.f_blocks * disk.f_frsize
