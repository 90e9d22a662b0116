"""A server that can't start says why in one line, and leaves everything as it found it."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import audit
from tests.faults.shop import Shop
from tests.serving import command, process
from tests.wait import PATIENCE_S

POWERLESS = """
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(24, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs a program that even root's files are closed to, with a bound on what it may write to any file."""

PLENTY_BYTES = 1 << 40


@pytest.fixture
async def used(shop: Shop) -> Path:
    """A database that a server has used."""
    async with process(shop.data) as server:
        server.terminate()
        assert await server.gone() == 0
    return shop.data / audit.DATABASE


def test_a_file_that_is_no_database(shop: Shop) -> None:
    shop.data.mkdir()
    database = shop.data / audit.DATABASE
    database.write_bytes(b"not a database\n" * 1_000)

    said = refusal(shop)

    assert str(database) in said
    assert "put a backup in its place" in said
    assert database.read_bytes() == b"not a database\n" * 1_000


def test_a_database_with_torn_pages(shop: Shop, used: Path) -> None:
    torn = used.read_bytes()[:4096] + os.urandom(8192)
    used.write_bytes(torn)

    said = refusal(shop)

    assert "database" in said
    assert used.read_bytes() == torn


def test_a_database_of_a_newer_version(shop: Shop, used: Path) -> None:
    db = sqlite3.connect(used)
    db.execute("PRAGMA user_version = 99")
    db.close()
    before = used.read_bytes()

    said = refusal(shop)

    assert "schema 99" in said
    assert used.read_bytes() == before


def test_a_database_that_may_only_be_read(shop: Shop, used: Path) -> None:
    used.chmod(0o400)
    before = used.read_bytes()

    said = refusal(shop)

    assert str(used) in said
    assert used.read_bytes() == before


async def test_a_second_server_on_the_same_data(shop: Shop) -> None:
    async with process(shop.data) as server:
        said = refusal(shop)

        assert str(server.process.pid) in said
        assert str(shop.data) in said
        assert (shop.data / "server.json").exists()


def test_an_address_that_is_taken(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = refusal(shop, f"server.port={port}")

    assert f"127.0.0.1:{port}" in said


def test_a_setting_that_there_is_not(shop: Shop) -> None:
    said = refusal(shop, "server.prot=1")

    assert "server.port" in said
    assert not shop.data.exists()


def test_a_data_directory_that_can_not_be_made(shop: Shop) -> None:
    shop.data.write_text("a file")

    assert str(shop.data) in refusal(shop)


def test_a_data_directory_that_may_not_be_written(shop: Shop) -> None:
    shop.data.mkdir(mode=0o500)

    assert str(shop.data) in refusal(shop)
    assert not list(shop.data.iterdir())


def test_a_used_data_directory_that_may_not_be_written(shop: Shop, used: Path) -> None:
    used.parent.chmod(0o500)

    assert str(shop.data) in refusal(shop)


@pytest.mark.parametrize("bound_bytes", [0, 1, 4_096, 65_536])
def test_a_full_disk(shop: Shop, bound_bytes: int) -> None:
    assert str(shop.data) in refusal(shop, bound_bytes=bound_bytes)


def refusal(shop: Shop, *flags: str, bound_bytes: int = PLENTY_BYTES) -> str:
    """What a server says when it does not start: one line, and nothing else but its exit code."""
    argv = (sys.executable, "-c", POWERLESS, str(bound_bytes), *command(shop.data, *flags))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("progresshub: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr
