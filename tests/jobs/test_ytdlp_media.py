"""Downloads as sites offer them: in segments, in parts, behind redirects, several on a page; one bar over each."""

import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from progresshub.jobs.download import kind
from progresshub.settings import Downloads
from tests.media import File, Gate, add_all, make_hls, make_manifest, make_video

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = random.Random(2).randbytes(600_000)
KIND = kind(Downloads())
MODULE = "progresshub.jobs.ytdlp"
SETTINGS = {
    "socket_timeout_s": 5.0,
    "buffer_bytes": 16_384,
    "reports_per_s": 1e6,
    "allow_private": True,
    "max_entries": 50,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Real media: a video, the same as DASH and as HLS, with a picture and subtitles."""
    directory: Path = tmp_path_factory.mktemp("media")
    make_video(directory)
    make_manifest(directory)
    make_hls(directory)
    picture = ["-f", "lavfi", "-i", "testsrc=d=1:r=1:s=160x120", "-frames:v", "1"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, directory / "picture.jpg"], check=True, timeout=60)
    (directory / "en.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n")
    return directory


def asking(url: str, settings: dict[str, Any] | None = None, **request):
    asked = KIND.check({"url": url, "format": "best", **request})
    return {"request": asked, "settings": {**SETTINGS, **(settings or {})}}


def percents(reports: list[dict[str, Any]]) -> list[float]:
    return [report["percent"] for report in reports if "percent" in report]


def probe(path: Path) -> dict[str, Any]:
    shown = ["-show_entries", "stream=codec_name,codec_type,height:format_tags=title", "-of", "json"]
    said = subprocess.run(["ffprobe", "-v", "error", *shown, path], capture_output=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def codecs(path: Path) -> set[str]:
    return {stream["codec_name"] for stream in probe(path)["streams"]}


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("manifest", ["video.m3u8", "video.mpd"])
@pytest.mark.parametrize("wanted", ["mp4", "best", "mp3"])
async def test_one_bar_leads_over_segments_parts_and_what_follows(warm, site, directory, manifest, wanted):
    *reports, last = await warm.run(f"{MODULE}:download", asking(f"{site.base}/{manifest}", format=wanted), directory)

    assert last["status"] == "done", last
    assert len(percents(reports)) > 3
    assert percents(reports) == sorted(percents(reports))
    assert percents(reports)[-1] == pytest.approx(100, abs=3)
    assert names(directory) == [last["result"]["path"]]
    assert codecs(directory / last["result"]["path"]) == (
        {"mp3"} if wanted == "mp3" else {"mpeg2video" if manifest.endswith("m3u8") else "mpeg4", "aac"}
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("mp4", ("mp4", {"mpeg4", "aac"})),
        ("best", ("mp4", {"mpeg4", "aac"})),
        ("video", ("mp4", {"mpeg4"})),
        ("audio", ("m4a", {"aac"})),
        ("mp3", ("mp3", {"mp3"})),
        ("wav", ("wav", {"pcm_s16le"})),
        ("flac", ("flac", {"flac"})),
        ("aac", ("m4a", {"aac"})),
    ],
)
async def test_each_format_gives_what_its_name_says(warm, site, directory, wanted, expected):
    *_, last = await warm.run(f"{MODULE}:download", asking(f"{site.base}/video.mpd", format=wanted), directory)

    assert last["status"] == "done", last
    path = directory / last["result"]["path"]
    assert (last["result"]["format"], codecs(path)) == expected


async def test_a_sound_file_carries_its_title_and_its_picture(warm, media, directory, made):
    add_all(media, made)
    page = f"""<html><head><title>Page</title><meta property="og:title" content="Page">
        <script type="application/ld+json">{{"@context": "https://schema.org", "@type": "VideoObject", "name": "Page",
        "contentUrl": "{media.base}/video.mp4", "thumbnailUrl": "{media.base}/picture.jpg"}}</script></head></html>"""
    url = media.add("page.html", File(content=page.encode(), content_type="text/html"))

    request = asking(url, format="mp3", mp3_title=r"50% \1 of: Ünïcode", embed_thumbnail=True)
    *_, last = await warm.run(f"{MODULE}:download", request, directory)

    assert last["status"] == "done", last
    assert names(directory) == [last["result"]["path"]]
    found = probe(directory / last["result"]["path"])
    assert {stream["codec_type"] for stream in found["streams"]} == {"audio", "video"}
    assert found["format"]["tags"]["title"] == r"50% \1 of: Ünïcode"


async def test_a_chain_of_redirects_is_followed(warm, media, directory):
    media.add("song.mp4", File(content=CONTENT))
    media.add("b", File(location="/song.mp4"))
    url = media.add("a", File(location=f"{media.base}/b"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url), directory)

    assert last["status"] == "done", last
    assert (directory / last["result"]["path"]).read_bytes() == CONTENT


PAGE = (
    "<html><title>Three songs</title><video src='{0}'></video><video src='{1}'></video><video src='{2}'></video></html>"
)


async def test_the_entries_of_a_page_are_steps_of_one_task(warm, media, directory):
    sources = [media.add(f"song{n}.mp4", File(content=CONTENT[n:])) for n in range(3)]
    url = media.add("page.html", File(content=PAGE.format(*sources).encode(), content_type="text/html"))

    *reports, last = await warm.run(f"{MODULE}:download", asking(url), directory)

    assert last["status"] == "done", last
    planned = next(report["steps"] for report in reports if "steps" in report)
    assert [step["name"] for step in planned] == ["1 of 3", "2 of 3", "3 of 3"]
    for step in planned:
        moved = percents([report for report in reports if report.get("step") == step["name"]])
        assert moved == sorted(moved)
    assert [report["step"] for report in reports if report.get("status") == "done"] == ["1 of 3", "2 of 3", "3 of 3"]
    entries = last["result"]["entries"]
    assert last["result"]["title"] == "Three songs"
    assert [(directory / entry["path"]).read_bytes() for entry in entries] == [CONTENT[n:] for n in range(3)]
    assert names(directory) == sorted(entry["path"] for entry in entries)


async def test_an_entry_that_is_gone_for_good_costs_the_others_nothing(warm, media, directory):
    sources = [media.add(f"song{n}.mp4", File(content=CONTENT, status=404 if n == 1 else 200)) for n in range(3)]
    url = media.add("page.html", File(content=PAGE.format(*sources).encode(), content_type="text/html"))

    *reports, last = await warm.run(f"{MODULE}:download", asking(url), directory)

    assert last["status"] == "done", last
    assert [report["status"] for report in reports if "status" in report] == ["done", "failed", "done"]
    assert ["error" in entry for entry in last["result"]["entries"]] == [False, True, False]


async def test_an_entry_that_may_come_another_time_is_worth_another_attempt(warm, media, directory):
    sources = [media.add(f"song{n}.mp4", File(content=CONTENT, status=503 if n == 1 else 200)) for n in range(3)]
    url = media.add("page.html", File(content=PAGE.format(*sources).encode(), content_type="text/html"))

    *_, first = await warm.run(f"{MODULE}:download", asking(url), directory)
    media.add("song1.mp4", File(content=CONTENT))
    asked_before = len([asked for asked in media.asked if asked.name == "song0.mp4"])
    *_, second = await warm.run(f"{MODULE}:download", asking(url), directory)

    assert (first["status"], first["retry"], first["error_type"]) == ("failed", True, "http_503")
    assert first["error"].startswith("1 of 3: ")
    assert second["status"] == "done", second
    assert len(second["result"]["entries"]) == 3
    assert len([asked for asked in media.asked if asked.name == "song0.mp4"]) <= asked_before + 1


async def test_a_segment_that_is_gone_leaves_no_hole(warm, media, directory, made):
    add_all(media, made)
    last_segment = max(path.name for path in made.glob("video*.ts"))
    media.add(last_segment, File(status=404))

    *_, last = await warm.run(f"{MODULE}:download", asking(f"{media.base}/video.m3u8"), directory)

    assert (last["status"], last["retry"]) == ("failed", False), last
    assert names(directory) == [".partial"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_what_is_stopped_leaves_no_file_that_looks_whole(warm, media, directory, number):
    gate = Gate(upto=300_000)
    url = media.add("song.mp4", File(content=CONTENT, gate=gate))

    pid = await warm.start(f"{MODULE}:download", asking(url), directory)
    async for report in warm.lines():
        if report.get("current", 0) > 100_000:
            os.kill(pid, number)
    await gate.open(len(CONTENT))

    assert names(directory) == [".partial"]


async def test_a_full_disk_is_told_before_the_first_byte(warm, media, directory):
    url = media.add("song.mp4", File(content=CONTENT))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, {"min_free_bytes": 10**15}), directory)

    assert (last["status"], last["error_type"]) == ("failed", "storage_full")
    assert "stay free" in last["error"]


async def test_cookies_are_sent_and_the_file_stays_as_it_is(warm, media, directory, tmp_path):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tlogin\tsecret\n")
    before = cookies.read_bytes()
    url = media.add("song.mp4", File(content=CONTENT))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, {"cookies_file": str(cookies)}), directory)

    assert last["status"] == "done", last
    assert "login=secret" in media.cookies
    assert cookies.read_bytes() == before


async def test_cookies_that_can_not_be_read_are_said_to_be(warm, directory):
    *_, last = await warm.run(
        f"{MODULE}:download", asking("http://127.0.0.1:1/x", {"cookies_file": "/nowhere"}), directory
    )

    assert (last["status"], last["error_type"], last["retry"]) == ("failed", "cookies_file", False)
    assert "/nowhere" not in last["error"]


async def test_a_video_is_described_without_being_fetched(warm, media, directory, made):
    add_all(media, made)

    request = {"request": {"url": f"{media.base}/video.mpd"}, "settings": SETTINGS}
    *_, last = await warm.run(f"{MODULE}:describe", request, directory)

    assert last["status"] == "done", last
    told = last["result"]
    assert (told["type"], told["title"]) == ("video", "video")
    assert {one["ext"] for one in told["formats"]} == {"mp4", "m4a"}
    assert {one["height"] for one in told["formats"]} == {120, None}
    assert names(directory) == []
    assert {asked.name for asked in media.asked} == {"video.mpd"}


async def test_a_list_is_described_by_its_entries(warm, media, directory):
    sources = [media.add(f"song{n}.mp4", File(content=CONTENT)) for n in range(3)]
    url = media.add("page.html", File(content=PAGE.format(*sources).encode(), content_type="text/html"))

    *_, last = await warm.run(f"{MODULE}:describe", {"request": {"url": url}, "settings": SETTINGS}, directory)

    assert (last["status"], last["result"]["type"]) == ("done", "playlist"), last
    assert len(last["result"]["entries"]) == 3


SUBTITLED = "<html><title>T</title><video src='{0}'><track src='{1}' srclang='en' kind='subtitles'></video></html>"


async def test_subtitles_come_as_text(warm, media, directory, made):
    add_all(media, made)
    page = SUBTITLED.format(f"{media.base}/video.mp4", f"{media.base}/en.vtt")
    url = media.add("page.html", File(content=page.encode(), content_type="text/html"))

    request = {"request": {"url": url, "lang": "en"}, "settings": SETTINGS}
    *_, last = await warm.run(f"{MODULE}:subtitles", request, directory)
    request["request"] = {"url": url, "lang": "fr"}
    *_, missing = await warm.run(f"{MODULE}:subtitles", request, directory)

    assert last["status"] == "done", last
    assert (last["result"]["format"], last["result"]["automatic"]) == ("vtt", False)
    assert last["result"]["text"] == (made / "en.vtt").read_text()
    assert (missing["status"], missing["error_type"], missing["retry"]) == ("failed", "no_subtitles", False)
    assert "there are en" in missing["error"]


async def test_subtitles_are_laid_beside_the_video(warm, media, directory, made):
    add_all(media, made)
    page = SUBTITLED.format(f"{media.base}/video.mp4", f"{media.base}/en.vtt")
    url = media.add("page.html", File(content=page.encode(), content_type="text/html"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, format="mp4", subtitles=["en"]), directory)

    assert last["status"] == "done", last
    assert {Path(name).suffix for name in names(directory)} == {".vtt", ".mp4"}


async def test_cookies_of_a_login_are_never_given_to_ffmpeg(warm, site, directory, tmp_path):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tlogin\tsecret\n")
    head = "#EXT-X-MEDIA-SEQUENCE:0"
    playlist = site.files["video.m3u8"].content.decode().replace(head, f"{head}\n#EXT-X-KEY:METHOD=OTHER")
    url = site.add("video.m3u8", File(content=playlist.encode(), content_type="application/vnd.apple.mpegurl"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, {"cookies_file": str(cookies)}), directory)

    assert (last["status"], last["error_type"], last["retry"]) == ("failed", "cookies_file", False)
    assert "video0.ts" not in {asked.name for asked in site.asked}


@pytest.mark.parametrize("wanted", ["mp4", "aac", "flac"])
async def test_a_picture_is_put_in_where_it_can_be_and_never_costs_the_file(warm, site, directory, wanted):
    page = f"""<script type="application/ld+json">{{"@context": "https://schema.org", "@type": "VideoObject",
        "name": "T", "contentUrl": "{site.base}/video.mp4", "thumbnailUrl": "{site.base}/picture.jpg"}}</script>"""
    url = site.add("page.html", File(content=page.encode(), content_type="text/html"))

    *_, last = await warm.run(f"{MODULE}:download", asking(url, format=wanted, embed_thumbnail=True), directory)

    assert last["status"] == "done", last
    assert names(directory) == [last["result"]["path"]]
    pictures = [one for one in probe(directory / last["result"]["path"])["streams"] if one["codec_name"] == "mjpeg"]
    assert len(pictures) == (wanted != "flac")
