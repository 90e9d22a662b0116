from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from progresshub.jobs.ytdlp.bar import Bar


class Told:
    """Keeps what a bar reports."""

    def __init__(self, *formats: dict[str, Any], **request: Any) -> None:
        self.reports: list[dict[str, Any]] = []
        self.bar = Bar(self._progress, {"format": "mp4", **request})
        self.bar.plan({"title": "Song", "ext": "mp4", "duration": 10, "requested_formats": list(formats)})

    def _progress(self, percent: float | None = None, **rest: Any) -> None:
        self.reports.append({"percent": percent, **rest})

    def hear(
        self, downloaded: float | None, total: float | None = None, status: str = "downloading", **rest: Any
    ) -> Any:
        self.bar.on_progress({"status": status, "downloaded_bytes": downloaded, "total_bytes": total, **rest})
        return self.reports[-1]

    def work(self, name: str, status: str = "started", extension: str = "mp4") -> Any:
        self.bar.on_processing({"status": status, "postprocessor": name, "info_dict": {"ext": extension}})
        return self.reports[-1]

    def percents(self) -> list[float]:
        return [report["percent"] for report in self.reports if report["percent"] is not None]


def test_bytes_become_a_percentage_and_an_eta():
    told = Told()

    report = told.hear(250, 1000, speed=50.0)

    assert (report["percent"], report["current"], report["total"], report["unit"]) == (25, 250, 1000, "bytes")
    assert (report["speed_bps"], report["eta_s"]) == (50, 15)


def test_an_unknown_total_is_no_percentage():
    report = Told().hear(250, speed=50.0)

    assert (report["percent"], report["total"], report["eta_s"]) == (None, None, None)
    assert report["current"] == 250


def test_an_estimate_is_marked_as_one():
    told = Told()

    assert told.hear(250, total_bytes_estimate=1000)["metadata"]["estimated"]
    assert not told.hear(300, 1100)["metadata"]["estimated"]


def test_video_and_sound_count_by_their_sizes():
    told = Told({"filesize": 900}, {"filesize": 100})

    percents = [
        told.hear(450, 900)["percent"],
        told.hear(900, 900, "finished")["percent"],
        told.hear(50, 100)["percent"],
        told.hear(100, 100, "finished")["percent"],
    ]

    assert percents == [42.75, 85.5, 90.25, 95]
    told.work("Merger")
    assert told.work("Merger", "finished")["percent"] == 100


def test_a_part_that_was_there_already_counts_as_done():
    told = Told({"filesize": 900}, {"filesize": 100})

    assert told.hear(None, 900, "finished")["percent"] == pytest.approx(85.5)


def test_processing_is_a_stage_said_once():
    told = Told()

    for name in ("MoveFiles", "Merger", "Merger"):
        told.work(name)

    assert [report["stage"] for report in told.reports] == ["downloading", "merging"]


def test_only_a_container_that_is_changed_is_worth_a_word():
    told = Told()

    for extension in ("mp4", "mkv"):
        told.work("VideoRemuxer", extension=extension)

    assert [report["message"] for report in told.reports[1:]] == ["Changing the container"]


def test_what_follows_the_bytes_has_its_share_and_fills_it():
    parts = {"filesize": 900, "acodec": "none"}, {"filesize": 100, "vcodec": "none"}
    told = Told(*parts, format="mp3", mp3_title="Song")

    told.hear(900, 900, "finished")
    told.hear(100, 100, "finished")
    for name in ("Merger", "ExtractAudio", "Metadata"):
        told.work(name)
        for made_s in (2.5, 5.0, None, 20.0):
            told.bar.on_ffmpeg(made_s, None)
        told.work(name, "finished")

    percents = told.percents()
    assert percents == sorted(percents)
    assert percents[1] == 79
    assert {80.25, 81.5, 84, 87.75, 99, 99.25, 100} <= set(percents)
    assert percents[-1] == 100
    messages = list(dict.fromkeys(report["message"] for report in told.reports if "message" in report))
    assert messages[:2] == ["Song (picture)", "Song (sound)"]


def test_what_ffmpeg_fetches_itself_is_counted_by_its_length():
    told = Told()

    told.bar.on_ffmpeg(4.0, 1000)

    assert (told.reports[-1]["percent"], told.reports[-1]["current"]) == (40, 1000)


def test_each_entry_of_a_list_counts_for_itself():
    told = Told()
    told.hear(1000, 1000, "finished")

    told.bar.begin(2, 3)
    told.bar.plan({"title": "Second", "ext": "mp4"})
    report = told.hear(100, 1000, speed=10.0)

    assert (report["percent"], report["eta_s"]) == (10, None)
    assert (report["metadata"]["entry"], report["metadata"]["entries"]) == (2, 3)


HOOKS = st.tuples(
    st.sampled_from(["downloading", "finished"]),
    st.one_of(st.none(), st.integers(0, 10**6)),
    st.one_of(st.none(), st.integers(0, 10**6)),
    st.one_of(st.none(), st.floats(0, 1e6)),
)
SIZES = st.lists(st.one_of(st.none(), st.integers(0, 10**6)), min_size=1, max_size=3)


@given(sizes=SIZES, hooks=st.lists(HOOKS, max_size=30))
@example(sizes=[None, None], hooks=[("finished", None, None, 513410.8508868891), ("finished", None, 157678, None)])
def test_the_percentage_never_goes_back_and_never_leaves_its_bounds(sizes, hooks):
    told = Told(*[{"filesize": size} for size in sizes])

    for status, downloaded, total, estimate in hooks:
        told.hear(downloaded, total, status, total_bytes_estimate=estimate)

    percents = [report["percent"] for report in told.reports if report["percent"] is not None]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 100 for percent in percents)


WORKS = st.tuples(
    st.sampled_from(["Merger", "ExtractAudio", "Metadata", "EmbedThumbnail", "VideoRemuxer", "FixupM3u8", "Unheard"]),
    st.sampled_from(["started", "finished"]),
    st.one_of(st.none(), st.floats(0, 20)),
)


@given(
    wanted=st.sampled_from(["mp4", "mp3", "best", "webm"]),
    picture=st.booleans(),
    sizes=SIZES,
    hooks=st.lists(HOOKS, max_size=6),
    works=st.lists(WORKS, max_size=12),
)
def test_nothing_that_follows_the_bytes_makes_it_go_back(wanted, picture, sizes, hooks, works):
    told = Told(*[{"filesize": size} for size in sizes], format=wanted, embed_thumbnail=picture, mp3_title="T")

    for status, downloaded, total, estimate in hooks:
        told.hear(downloaded, total, status, total_bytes_estimate=estimate)
    for name, status, made_s in works:
        told.work(name, status, "mkv")
        told.bar.on_ffmpeg(made_s, None)

    percents = told.percents()
    assert percents == sorted(percents)
    assert all(0 <= percent <= 100 for percent in percents)
