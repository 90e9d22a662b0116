from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from progresshub.jobs.ytdlp.bar import Bar


class Told:
    """Keeps what a bar reports."""

    def __init__(self, *formats: dict[str, Any]) -> None:
        self.reports: list[dict[str, Any]] = []
        self.bar = Bar(self._progress, "mp4")
        self.bar.plan({"title": "Song", "requested_formats": list(formats)})

    def _progress(self, percent: float | None = None, **rest: Any) -> None:
        self.reports.append({"percent": percent, **rest})

    def hear(
        self, downloaded: float | None, total: float | None = None, status: str = "downloading", **rest: Any
    ) -> Any:
        self.bar.on_progress({"status": status, "downloaded_bytes": downloaded, "total_bytes": total, **rest})
        return self.reports[-1]


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

    assert percents == [45, 90, 95, 100]


def test_a_part_that_was_there_already_counts_as_done():
    told = Told({"filesize": 900}, {"filesize": 100})

    assert told.hear(None, 900, "finished")["percent"] == 90


def test_processing_is_a_stage_said_once():
    told = Told()

    for name in ("MoveFiles", "Merger", "Merger"):
        told.bar.on_processing({"status": "started", "postprocessor": name})

    assert [report["stage"] for report in told.reports] == ["downloading", "merging"]


def test_only_a_container_that_is_changed_is_worth_a_word():
    told = Told()

    for extension in ("mp4", "mkv"):
        told.bar.on_processing({"status": "started", "postprocessor": "VideoRemuxer", "info_dict": {"ext": extension}})

    assert [report["message"] for report in told.reports[1:]] == ["Changing the container"]


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
