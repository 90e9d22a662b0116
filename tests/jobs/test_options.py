from itertools import product
from pathlib import Path
from typing import get_args

import pytest
import yt_dlp

from progresshub.jobs.download import Format
from progresshub.jobs.ytdlp.options import options, selector

SETTINGS = {"socket_timeout_s": 5.0, "buffer_bytes": 65_536, "reports_per_s": 8.0}
QUALITIES = [None, "best", "worst", "720p", "192k"]


@pytest.mark.parametrize(("wanted", "quality"), list(product(get_args(Format), QUALITIES)))
def test_every_request_makes_options_that_yt_dlp_takes(wanted, quality):
    request = {"format": wanted, "quality": quality, "embed_thumbnail": True}

    with yt_dlp.YoutubeDL(options(request, SETTINGS, Path("/srv")), auto_init=False) as downloader:
        assert downloader.format_selector is not None


def test_a_height_bounds_the_picture_and_never_leaves_nothing():
    choices = selector({"format": "mp4", "quality": "720p"}).split("/")

    assert choices[0] == "bv*[height<=720][ext=mp4]+ba[ext=m4a]"
    assert choices[-1] == "b"


def test_without_ffmpeg_only_what_is_whole_is_taken():
    assert selector({"format": "mp4", "quality": "720p"}, can_merge=False) == "b[height<=720][ext=mp4]/b[height<=720]/b"


def test_a_format_of_the_site_is_taken_as_it_is():
    assert selector({"format": "mp4", "format_id": "137+140", "quality": "720p"}) == "137+140"


def test_a_bitrate_is_for_the_sound():
    (step,) = options({"format": "mp3", "quality": "192k"}, SETTINGS, Path("/srv"))["postprocessors"]

    assert (step["preferredcodec"], step["preferredquality"]) == ("mp3", "192")


def test_partial_files_are_kept_and_nothing_of_the_user_takes_part():
    made = options({"format": "best"}, SETTINGS, Path("/srv"))

    assert (made["continuedl"], made["nopart"], made["cachedir"], made["usenetrc"]) == (True, False, False, False)
    assert not {"cookiefile", "cookiesfrombrowser", "exec_cmd", "external_downloader", "config_locations"} & made.keys()


def test_what_the_settings_bound_is_bound():
    made = options({"format": "best"}, {**SETTINGS, "rate_limit_bps": 1_000_000}, Path("/srv"))

    assert (made["ratelimit"], made["socket_timeout"], made["buffersize"]) == (1_000_000, 5.0, 65_536)
    assert options({"format": "best"}, SETTINGS, Path("/srv"))["ratelimit"] is None


def test_what_ffmpeg_fetches_itself_is_never_a_file_of_this_machine():
    made = options({"format": "best"}, SETTINGS, Path("/srv"))

    (flag, allowed) = made["external_downloader_args"]["ffmpeg_i"]
    assert flag == "-protocol_whitelist"
    assert "file" not in allowed.split(",")
    assert made["enable_file_urls"] is False


def test_no_segment_is_left_out():
    assert options({"format": "best"}, SETTINGS, Path("/srv"))["skip_unavailable_fragments"] is False
