import subprocess
import sys

import pytest

from progresshub.errors import InvalidPayload
from progresshub.jobs import download
from progresshub.kinds import Call
from progresshub.settings import Config, Downloads
from tests import make

KIND = download.kind(Downloads(buffer_bytes=4096))
URL = "https://example.org/watch"


def test_the_defaults_are_filled_in():
    assert KIND.check({"url": URL}) == {
        "url": URL,
        "format": "mp4",
        "format_id": None,
        "quality": None,
        "mp3_title": None,
        "embed_thumbnail": False,
        "subtitles": [],
    }


def test_a_download_gets_a_process_of_its_own():
    payload = KIND.check({"url": URL, "format": "mp3", "quality": "192k"})

    launch = KIND.launch(make.task(kind="download", payload=payload))

    assert isinstance(launch, Call)
    assert (launch.pool, launch.fresh) == ("download", True)
    assert launch.arguments["request"] == payload
    assert launch.arguments["settings"]["buffer_bytes"] == 4096


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"url": ""},
        {"url": "ftp://example.org/x"},
        {"url": "file:///etc/passwd"},
        {"url": "javascript:alert(1)"},
        {"url": "http://"},
        {"url": "https://user@/x"},
        {"url": "http://example.org:99999/"},
        {"url": "http://[::1/"},
        {"url": "http://example.org/a b"},
        {"url": "http://example.org/\n"},
        {"url": "-o/etc/x"},
        {"url": "ytsearch:cats"},
        {"url": "https://example.org/" + "x" * 5000},
        {"url": URL, "format": "exe"},
        {"url": URL, "format_id": "a/b"},
        {"url": URL, "format_id": "best[height>1]"},
        {"url": URL, "quality": "huge"},
        {"url": URL, "outtmpl": "/etc/x"},
        {"url": URL, "embed_thumbnail": "yes"},
        {"url": URL, "subtitles": ["en", ".*"]},
    ],
)
def test_what_can_not_be_downloaded_is_refused(payload):
    with pytest.raises(InvalidPayload):
        KIND.check(payload)


def test_the_title_keeps_secrets_to_itself():
    title = KIND.title({"url": "https://me:s3cret@example.org:8443/a/b.mp4?token=s3cret#s3cret"})

    assert title == "example.org:8443/a/b.mp4"
    assert len(KIND.title({"url": "https://example.org/" + "x" * 4000})) == download.TITLE_CHARS


def test_the_server_never_imports_yt_dlp():
    code = "import sys, progresshub.jobs.builtin; sys.exit('yt_dlp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_every_kind_of_the_server_has_its_name():
    from progresshub.jobs.builtin import builtin_kinds

    kinds = builtin_kinds(Config())

    assert kinds.keys() >= {"demo", "external", "command", "download", "audio", "video"}
    assert all(kind.name == name for name, kind in kinds.items())
