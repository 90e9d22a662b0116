"""No download reaches a private address that is not allowed: not directly, not by a redirect, not in pieces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from progresshub.jobs.download import kind
from progresshub.settings import Downloads
from tests.egress.canary import canary
from tests.media import File, Media, make_hls, make_manifest, make_video

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIND = kind(Downloads())
MODULE = "progresshub.jobs.ytdlp"


@pytest_asyncio.fixture(loop_scope="module")
async def bird():
    async with canary() as sitting:
        yield sitting


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    directory: Path = tmp_path_factory.mktemp("media")
    make_video(directory)
    make_manifest(directory)
    make_hls(directory)
    return directory


def asking(url: str, media: Media, **request: Any) -> dict[str, Any]:
    """A request in which the media server may be reached, and nothing else on this machine."""
    place = urlsplit(media.base).netloc
    settings = {"socket_timeout_s": 5.0, "buffer_bytes": 16_384, "reports_per_s": 1e6, "max_entries": 9}
    asked = KIND.check({"url": url, "format": "best", **request})
    return {"request": asked, "settings": {**settings, "allow_hosts": [place]}}


def refused(last: dict[str, Any]) -> bool:
    return (last["status"], last.get("error_type"), last["retry"]) == ("failed", "private_address", False)


PLACES = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "a@127.0.0.1"]


@pytest.mark.parametrize("origin", [f"{scheme}://{place}" for scheme in ("http", "https") for place in PLACES])
async def test_directly(warm, media, bird, directory, origin):
    *_, last = await warm.run(f"{MODULE}:download", asking(f"{origin}:{bird.port}/x.mp4", media), directory)

    assert bird.touched == 0
    assert refused(last), last
    assert "private address" in last["error"]


@pytest.mark.parametrize("function", ["download", "describe", "subtitles"])
async def test_by_a_redirect(warm, media, bird, directory, function):
    url = media.add("song.mp4", File(location=f"http://127.0.0.1:{bird.port}/x.mp4"))

    asked = asking(url, media)
    asked["request"] |= {"lang": "en"} if function == "subtitles" else {}
    *_, last = await warm.run(f"{MODULE}:{function}", asked, directory)

    assert bird.touched == 0
    assert refused(last), last


NATIVE = "#EXT-X-MEDIA-SEQUENCE:0"
BY_FFMPEG = f"{NATIVE}\n#EXT-X-KEY:METHOD=OTHER"
"""yt-dlp leaves what it does not understand to ffmpeg, which fetches the segments itself."""


@pytest.mark.parametrize("head", [NATIVE, BY_FFMPEG])
async def test_by_a_segment(warm, site, bird, directory, head):
    playlist = site.files["video.m3u8"].content.decode().replace(NATIVE, head)
    playlist = re.sub("^video2.ts$", f"http://127.0.0.1:{bird.port}/video2.ts", playlist, flags=re.MULTILINE)
    url = site.add("video.m3u8", File(content=playlist.encode(), content_type="application/vnd.apple.mpegurl"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, site), directory)

    assert bird.touched == 0
    assert refused(last), last
    assert {asked.name for asked in site.asked} >= {"video.m3u8", "video0.ts"}
    assert [path.name for path in directory.iterdir()] == [".partial"]


async def test_by_a_part(warm, site, bird, directory):
    manifest = site.files["video.mpd"].content.decode()
    base = f"<BaseURL>http://127.0.0.1:{bird.port}/</BaseURL><Period"
    content = manifest.replace("<Period", base).encode()
    url = site.add("video.mpd", File(content=content, content_type="application/dash+xml"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, site), directory)

    assert bird.touched == 0
    assert refused(last), last


@pytest.mark.parametrize("head", [NATIVE, BY_FFMPEG])
async def test_by_a_file_of_this_machine(warm, media, directory, head):
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n{head}\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    url = media.add("video.m3u8", File(content=playlist.encode(), content_type="application/vnd.apple.mpegurl"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, media), directory)

    assert last["status"] == "failed"
    assert not [path for path in directory.rglob("*") if path.is_file() and b"root:" in path.read_bytes()]


@pytest.mark.parametrize("head", [NATIVE, BY_FFMPEG])
async def test_what_is_allowed_arrives_all_the_same(warm, site, bird, directory, head):
    playlist = site.files["video.m3u8"].content.decode().replace(NATIVE, head)
    url = site.add("video.m3u8", File(content=playlist.encode(), content_type="application/vnd.apple.mpegurl"))

    *reports, last = await warm.run(f"{MODULE}:download", asking(url, site), directory)

    assert last["status"] == "done", last
    assert (directory / last["result"]["path"]).stat().st_size > 10_000
    percents = [report["percent"] for report in reports if "percent" in report]
    assert percents == sorted(percents)


async def test_a_site_that_is_not_there_is_not_taken_for_one_that_refuses(warm, media, directory):
    asked = asking("http://127.0.0.1:1/song.mp4", media)
    asked["settings"]["allow_hosts"].append("127.0.0.1:1")

    *_, last = await warm.run(f"{MODULE}:download", asked, directory)

    assert (last["status"], last["error_type"], last["retry"]) == ("failed", "network", True)
    assert "can't be reached" in last["error"]


async def test_by_an_entry_of_a_page_which_costs_the_others_nothing(warm, media, bird, directory):
    song = media.add("song.mp4", File(content=bytes(8) + b"ftyp" + bytes(50_000)))
    page = f"<title>T</title><video src='{song}'></video><video src='http://127.0.0.1:{bird.port}/x.mp4'></video>"
    url = media.add("page.html", File(content=page.encode(), content_type="text/html"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, media), directory)

    assert bird.touched == 0
    assert last["status"] == "done", last
    assert ["path" in entry for entry in last["result"]["entries"]] == [True, False]
    assert "private address" in last["result"]["entries"][1]["error"]
