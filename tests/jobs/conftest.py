"""What tests of downloads stand on: a warm yt-dlp, a media server, and a task's directory."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from tests.forker import forker
from tests.media import add_all, media_server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def warm():
    async with forker() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def media():
    async with media_server() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def site(media, made):
    """A media server with all that the module has `made`."""
    add_all(media, made)
    return media


@pytest.fixture
def directory(tmp_path) -> Path:
    path: Path = tmp_path / "files" / "task"
    path.mkdir(parents=True)
    return path
