import hashlib
import os
import random
import signal
from pathlib import Path

import pytest

from progresshub.jobs.download import kind
from progresshub.settings import Downloads
from tests.media import File, Gate, make_manifest, make_video

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = random.Random(1).randbytes(2_000_000)
KIND = kind(Downloads(buffer_bytes=16_384))
TARGET = "progresshub.jobs.ytdlp:download"
SETTINGS = {"socket_timeout_s": 5.0, "buffer_bytes": 16_384, "reports_per_s": 1e6, "allow_private": True}


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> bytes:
    return make_video(tmp_path_factory.mktemp("video")).read_bytes()


def asking(url: str, **request):
    return {"request": KIND.check({"url": url, "format": "best", **request}), "settings": SETTINGS}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def outside(directory: Path) -> list[Path]:
    """Files that should not be there."""
    top = directory.parents[1]
    return [path for path in top.rglob("*") if path.is_file() and not path.is_relative_to(directory)]


async def test_the_file_arrives_as_it_is(warm, media, directory):
    url = media.add("song.mp4", File(content=CONTENT))

    *reports, last = await warm.run(TARGET, asking(url), directory)

    result = last["result"]
    assert last["status"] == "done"
    assert digest((directory / result["path"]).read_bytes()) == digest(CONTENT)
    assert result == {
        "path": "song.mp4", "filename": "song.mp4", "size_bytes": len(CONTENT), "format": "mp4",
        "title": "song", "thumbnail": None, "duration_s": None,
    }  # fmt: skip
    assert reports[0]["stage"] == "extracting"
    assert {report["stage"] for report in reports[1:]} == {"downloading"}


async def test_the_percentage_only_grows_and_ends_at_a_hundred(warm, media, directory):
    gate = Gate(upto=200_000)
    url = media.add("song.mp4", File(content=CONTENT, gate=gate))

    await warm.start(TARGET, asking(url), directory)
    reports = []
    async for report in warm.lines():
        reports.append(report)
        await gate.open(round(report.get("current", 0)) + 200_000)

    percents = [report["percent"] for report in reports if "percent" in report]
    assert len(percents) > 5
    assert percents == sorted(percents)
    assert percents[-1] == 100
    for report in reports:
        if "percent" in report:
            assert report["percent"] == pytest.approx(100 * report["current"] / report["total"])


async def test_an_unknown_length_gives_bytes_and_no_percentage(warm, media, directory):
    gate = Gate(upto=200_000)
    url = media.add("song.mp4", File(content=CONTENT, length=False, gate=gate))

    await warm.start(TARGET, asking(url), directory)
    running = []
    async for report in warm.lines():
        if 0 < report.get("current", 0) < len(CONTENT):
            running.append(report)
        await gate.open(round(report.get("current", 0)) + 200_000)

    assert running
    assert all("percent" not in report and "total" not in report for report in running)
    assert digest((directory / "song.mp4").read_bytes()) == digest(CONTENT)


async def test_a_cut_connection_is_resumed_where_it_ended(warm, media, directory):
    url = media.add("song.mp4", File(content=CONTENT, cut_after=1_000_000))

    *_, last = await warm.run(TARGET, asking(url), directory)

    assert last["status"] == "done"
    assert digest((directory / "song.mp4").read_bytes()) == digest(CONTENT)
    resumed = media.asked[-1].range
    assert resumed.startswith("bytes=")
    assert 0 < int(resumed.removeprefix("bytes=").rstrip("-")) <= 1_000_000


async def test_a_later_attempt_goes_on_where_a_stopped_one_was(warm, media, directory):
    gate = Gate(upto=1_000_000)
    url = media.add("song.mp4", File(content=CONTENT, gate=gate))

    pid = await warm.start(TARGET, asking(url), directory)
    async for report in warm.lines():
        if report.get("current", 0) > 500_000:
            os.kill(pid, signal.SIGKILL)
    left = (directory / ".partial" / "song.mp4.part").stat().st_size
    await gate.open(len(CONTENT))
    *_, last = await warm.run(TARGET, asking(url), directory)

    assert last["status"] == "done"
    assert media.asked[-1].range == f"bytes={left}-"
    assert digest((directory / "song.mp4").read_bytes()) == digest(CONTENT)


@pytest.mark.parametrize(("status", "retry"), [(404, False), (403, False), (429, True), (503, True)])
async def test_only_refusals_that_may_pass_are_worth_another_try(warm, media, directory, status, retry):
    url = media.add("song.mp4", File(status=status))

    *_, last = await warm.run(TARGET, asking(url), directory)

    assert (last["status"], last["error_type"], last["retry"]) == ("failed", f"http_{status}", retry)
    assert str(status) in last["error"]
    assert not last["error"].startswith("ERROR")
    assert "\x1b" not in last["error"]


async def test_a_page_without_media_fails_for_good(warm, media, directory):
    url = media.add("page.html", File(content=b"<html><p>Nothing here</p></html>", content_type="text/html"))

    *_, last = await warm.run(TARGET, asking(url), directory)

    assert (last["status"], last["error_type"], last["retry"]) == ("failed", "unsupported_url", False)


async def test_a_site_that_is_not_there_may_come_back(warm, directory):
    *_, last = await warm.run(TARGET, asking("http://127.0.0.1:1/song.mp4"), directory)

    assert (last["status"], last["error_type"], last["retry"]) == ("failed", "network", True)


@pytest.mark.parametrize("name", ["..%2f..%2f..%2fevil.mp4", "%D9%85%D8%B1%D8%AD%D8%A8%D8%A7.mp4", "%F0%9F%8E%B5.mp4"])
async def test_a_hostile_name_stays_in_the_directory(warm, media, directory, name):
    media.files = dict.fromkeys(["../../../evil.mp4", "مرحبا.mp4", "🎵.mp4"], File(content=CONTENT))

    *_, last = await warm.run(TARGET, asking(f"{media.base}/{name}"), directory)

    assert last["status"] == "done"
    assert digest((directory / last["result"]["path"]).read_bytes()) == digest(CONTENT)
    assert last["result"]["path"].isascii()
    assert outside(directory) == []


async def test_a_link_that_leads_outside_is_not_followed(warm, media, directory, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    (directory / "song.mp4").symlink_to(secret)
    url = media.add("song.mp4", File(content=CONTENT))

    *_, last = await warm.run(TARGET, asking(url), directory)

    assert (last["status"], last["error_type"], last["retry"]) == ("failed", "outside", False)
    assert secret.read_bytes() == b"secret"


@pytest.mark.parametrize("title", ["../../x", "/etc/passwd", "%(id)s", "a/b\\c", "مرحبا 🎵", "..."])
async def test_a_hostile_title_stays_in_the_directory(warm, media, directory, title):
    url = media.add("song.mp4", File(content=CONTENT))

    *_, last = await warm.run(TARGET, asking(url, mp3_title=title), directory)

    assert last["status"] == "done"
    assert [path.name for path in directory.iterdir()] == [last["result"]["path"]]
    assert outside(directory) == []


async def test_sound_is_taken_out_of_a_video(warm, media, directory, video):
    url = media.add("video.mp4", File(content=video))

    *reports, last = await warm.run(TARGET, asking(url, format="mp3", mp3_title="My song"), directory)

    assert (last["status"], last["result"]["path"]) == ("done", "My_song.mp3")
    assert [path.name for path in directory.iterdir()] == ["My_song.mp3"]
    assert "processing" in {report.get("stage") for report in reports}


async def test_a_video_stays_byte_for_byte_when_its_container_is_the_wanted_one(warm, media, directory, video):
    url = media.add("video.mp4", File(content=video))

    *_, last = await warm.run(TARGET, asking(url, format="mp4"), directory)

    assert digest((directory / last["result"]["path"]).read_bytes()) == digest(video)


async def test_picture_and_sound_are_fetched_apart_and_put_together(warm, media, directory, tmp_path):
    manifest = make_manifest(tmp_path)
    for path in tmp_path.iterdir():
        if path.is_file():
            kind_of_content = "application/dash+xml" if path == manifest else "video/mp4"
            media.add(path.name, File(content=path.read_bytes(), content_type=kind_of_content))

    *reports, last = await warm.run(TARGET, asking(f"{media.base}/{manifest.name}", format="mp4"), directory)

    percents = [report["percent"] for report in reports if "percent" in report]
    stages = list(dict.fromkeys(report["stage"] for report in reports))
    assert (last["status"], [path.name for path in directory.iterdir()]) == ("done", ["video.mp4"])
    assert stages == ["extracting", "downloading", "merging"]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert reports[-1].get("metadata", reports[1]["metadata"])["parts"] == 2
