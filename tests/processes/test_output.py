"""A task's log file: bounded, by byte offset, and never in the way of its job."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from progresshub.processes.output import TAIL_BYTES, Log


def written(path: Path, *parts: bytes, most_bytes: int = 1_000_000) -> bytes:
    log = Log(path, most_bytes)
    for part in parts:
        log.write(part)
    log.close()
    return path.read_bytes()


def test_nothing_written_makes_no_file(tmp_path: Path) -> None:
    Log(tmp_path / "log", 100).close()

    assert not (tmp_path / "log").exists()


def test_the_file_and_its_directory_are_the_server_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log"

    assert written(path, b"a\n", b"b") == b"a\nb"

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_another_attempt_is_appended(tmp_path: Path) -> None:
    written(tmp_path / "log", b"first\n")

    assert written(tmp_path / "log", b"second\n") == b"first\nsecond\n"


def test_past_the_bound_only_the_end_is_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    parts = (b"h" * 80, b"h" * 40, b"m" * 3 * TAIL_BYTES, b"t" * TAIL_BYTES)

    text = written(tmp_path / "log", *parts, most_bytes=100)

    left_out = 20 + 3 * TAIL_BYTES
    assert text == b"h" * 100 + b"\n[%d bytes of output left out]\n" % left_out + b"t" * TAIL_BYTES


def test_a_little_past_the_bound_nothing_is_left_out(tmp_path: Path) -> None:
    assert written(tmp_path / "log", b"a" * 150, b"b", most_bytes=100) == b"a" * 150 + b"b"


def test_an_attempt_that_finds_the_file_full_keeps_its_end(tmp_path: Path) -> None:
    written(tmp_path / "log", b"a" * 100, most_bytes=100)

    text = written(tmp_path / "log", b"b" * (TAIL_BYTES + 1), most_bytes=100)

    assert text == b"a" * 100 + b"\n[1 bytes of output left out]\n" + b"b" * TAIL_BYTES


def test_memory_is_bounded_by_the_tail(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", 10)

    for _ in range(100):
        log.write(b"x" * 65_536)

    assert len(log._tail) == TAIL_BYTES
    log.close()


def test_a_full_disk_is_said_once_and_ends_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(tmp_path / "log", 1_000)
    log.write(b"before\n")

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr("progresshub.processes.output.os.write", full)
        for _ in range(5):
            log.write(b"lost\n")
    log.write(b"lost too\n")
    log.close()

    assert (tmp_path / "log").read_bytes() == b"before\n"
    assert [record.message for record in caplog.records] == [
        "The output of a task is not kept any more: No space left on device"
    ]


def test_a_path_that_can_not_be_opened_ends_the_log(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    log = Log(tmp_path / "file" / "log", 1_000)

    log.write(b"lost")
    log.close()

    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
