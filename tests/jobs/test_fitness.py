import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from progresshub.jobs.ytdlp import fitness
from progresshub.jobs.ytdlp.failures import Unfit
from progresshub.jobs.ytdlp.fitness import Fitness

FREE = 1_000_000


@pytest.fixture(autouse=True)
def disk(monkeypatch):
    found = SimpleNamespace(free=FREE)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: found)
    monkeypatch.setattr(fitness, "LOOK_EVERY_S", 0.0)
    return found


def downloading(done: int, total: int | None = None):
    return {"status": "downloading", "downloaded_bytes": done, "total_bytes": total}


def test_what_fits_may_be_fetched(tmp_path):
    fit = Fitness(tmp_path, 400_000)

    fit.check({"url": "https://x/", "filesize": 500_000})
    fit.on_progress(downloading(100_000, 500_000))


def test_what_would_not_fit_is_not_begun(tmp_path):
    formats = [{"url": "https://x/", "filesize": 400_000}, {"url": "https://x/", "filesize_approx": 300_000}]

    with pytest.raises(Unfit, match="1 MB free; 1 MB are still to come") as caught:
        Fitness(tmp_path, 400_000).check({"requested_formats": formats})

    assert (caught.value.error_type, caught.value.retry) == ("storage_full", True)


def test_a_disk_that_fills_up_on_the_way_ends_it(tmp_path, disk):
    fit = Fitness(tmp_path, 400_000)
    fit.on_progress(downloading(100_000))
    disk.free = 399_999

    with pytest.raises(Unfit, match="stay free"):
        fit.on_progress(downloading(200_000))


@pytest.mark.parametrize(
    "info",
    [
        {"url": "rtmp://x/live", "protocol": "rtmp"},
        {"url": "rtsp://x/live"},
        {"url": "ftp://x/file"},
        {"url": "file:///etc/passwd"},
        {"url": "https://x/", "protocol": "websocket_frag"},
        {"requested_formats": [{"url": "https://x/"}, {"url": "mms://x/"}]},
    ],
)
def test_what_would_go_another_way_out_is_not_fetched(info):
    with pytest.raises(Unfit) as caught:
        Fitness(Path("/"), 0).check(info)

    assert (caught.value.error_type, caught.value.retry) == ("unsupported_protocol", False)
