"""The stems dialect's words: how a song's task is shown in each of its states."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from progresshub.dialects.stems import words
from progresshub.jobs import audio
from progresshub.model import EventId, EventType, Failure, State, Step, StepState, Task
from tests import make

NOW_MS = 150_000
NOTHING = {"processing_time": None, "error": None}
NO_STEMS = {"vocals_path": None, "drums_path": None, "bass_path": None, "other_path": None}
NO_BEATS = dict.fromkeys(("tempo_bpm", "beat_count", "time_signature", "beat_confidence", "rhythm_regularity"))
NO_WORDS = {"transcription_path": None, "language": None, "word_count": None}
ABOUT = {
    "duration_s": 180.0,
    "sample_rate": 44_100,
    "channels": 2,
    "format": "mp3",
    "codec": "mp3",
    "size_bytes": 4_500_000,
}
VALIDATED = Step(name="validation", state=StepState.COMPLETED, started_ms=2_000, finished_ms=2_100, result=ABOUT)
SKIPPED = Step(name="transcription", state=StepState.SKIPPED, result={"skipped": True, "reason": "no model"})
STEMS = {f"{stem}": f"espresso_{stem}.wav" for stem in audio.STEMS}
BEATS = {
    "tempo_bpm": 120.5,
    "beat_count": 240,
    "onset_count": 500,
    "time_signature": "4/4",
    "beat_confidence": 0.95,
    "rhythm_regularity": 0.9,
    "beats_file": "espresso_beats.json",
}


def song(state: State = State.PENDING, *steps: Step, **given: Any) -> Task:
    metadata = {"filename": "espresso.mp3", "file_size": 4_500_000, "format": "mp3"}
    defaults: dict[str, Any] = {"kind": "audio", "origin": "stems", "metadata": metadata, "steps": steps}
    return make.task(state=state, **{**defaults, **given})


def waiting(*names: str) -> list[Step]:
    return [Step(name=name) for name in names]


def running(name: str = "stem_separation", percent: float | None = 65.0) -> Step:
    return Step(name=name, state=StepState.RUNNING, percent=percent, started_ms=2_100)


def shown(task: Task, *before: Task) -> dict[str, Any]:
    events = [make.event(earlier, EventType.RETRYING, n) for n, earlier in enumerate(before)]
    made: dict[str, Any] = msgspec.to_builtins(words.status_body(task, NOW_MS, events))
    return made


def test_a_song_that_has_just_come_waits_to_be_validated():
    task = song()

    assert shown(task) == {
        "job_id": task.id,
        "status": "queued",
        "progress": 10,
        "current_step": "validation",
        "created_at": "1970-01-01T00:00:01",
        "updated_at": "1970-01-01T00:00:01",
        "processing_time": 0.0,
        "error_message": None,
        "stem_separation": {"status": "queued", "progress": 0, **NO_STEMS, **NOTHING},
        "transcription": {"status": "queued", "progress": 0, **NO_WORDS, **NOTHING},
        "beat_analysis": {"status": "queued", "progress": 0, **NO_BEATS, **NOTHING},
        "audio_duration": None,
        "file_size": 4_500_000,
    }


def test_a_song_that_is_taken_apart_shows_how_far_each_part_is():
    steps = [VALIDATED, running(), *waiting("transcription", "beat_analysis")]

    body = shown(song(State.RUNNING, *steps, started_ms=2_000, progress=make.progress(45.9)))

    assert (body["status"], body["progress"], body["current_step"]) == ("processing", 45, "stem_separation")
    assert (body["processing_time"], body["audio_duration"]) == (148.0, 180.0)
    assert body["stem_separation"] == {"status": "processing", "progress": 65, **NO_STEMS, **NOTHING}
    assert body["beat_analysis"] == {"status": "queued", "progress": 0, **NO_BEATS, **NOTHING}


def test_a_finished_song_shows_where_everything_is():
    separated = Step(
        name="stem_separation", state=StepState.COMPLETED, started_ms=2_100, finished_ms=67_300, result=STEMS
    )
    counted = Step(name="beat_analysis", state=StepState.COMPLETED, started_ms=1, finished_ms=2_101, result=BEATS)
    task = song(
        State.COMPLETED, VALIDATED, separated, SKIPPED, counted, started_ms=2_000, finished_ms=109_100, result={}
    )

    body = shown(task)

    assert (body["status"], body["progress"], body["current_step"]) == ("completed", 100, "completed")
    assert body["processing_time"] == 107.1
    assert body["stem_separation"] == {
        "status": "completed",
        "progress": 100,
        **{f"{stem}_path": f"/api/files/{task.id}/espresso_{stem}.wav" for stem in audio.STEMS},
        "processing_time": 65.2,
        "error": None,
    }
    assert body["transcription"] == {"status": "skipped", "progress": 100, **NO_WORDS, **NOTHING}
    assert body["beat_analysis"] == {
        "status": "completed",
        "progress": 100,
        "tempo_bpm": 120.5,
        "beat_count": 240,
        "time_signature": "4/4",
        "beat_confidence": 0.95,
        "rhythm_regularity": 0.9,
        "processing_time": 2.1,
        "error": None,
    }


def test_a_song_that_fails_half_way_says_where_and_why():
    stopped = Step(name="stem_separation", state=StepState.WAITING, percent=40.0, started_ms=2_100)
    failure = Failure(type="memory", message="there was not enough memory")
    task = song(
        State.FAILED,
        VALIDATED,
        stopped,
        *waiting("transcription", "beat_analysis"),
        started_ms=2_000,
        finished_ms=7_200,
        error=failure,
        progress=make.progress(40.0),
    )

    body = shown(task)

    assert (body["status"], body["progress"], body["current_step"]) == ("failed", 0, "stem_separation")
    assert (body["error_message"], body["processing_time"]) == ("there was not enough memory", 5.2)
    assert (body["stem_separation"]["status"], body["stem_separation"]["progress"]) == ("failed", 0)
    assert body["stem_separation"]["error"] == "there was not enough memory"
    assert [body["transcription"]["status"], body["beat_analysis"]["status"]] == ["skipped", "skipped"]


def test_a_cancelled_song_has_failed_and_says_that_it_was_cancelled():
    failure = Failure(type="cancelled", message="the task was cancelled")

    body = shown(song(State.CANCELLED, error=failure))

    assert (body["status"], body["current_step"]) == ("failed", "validation")
    assert "cancelled" in body["error_message"]


def test_beats_that_can_not_be_found_do_not_fail_the_song():
    failed = Step(name="beat_analysis", state=StepState.FAILED, error="there is nothing but silence", percent=30.0)

    body = shown(song(State.COMPLETED, VALIDATED, failed))

    assert (body["status"], body["error_message"]) == ("completed", None)
    assert body["beat_analysis"] == {
        **NO_BEATS,
        "status": "failed",
        "progress": 0,
        "processing_time": None,
        "error": "there is nothing but silence",
    }


def test_between_two_steps_the_next_one_is_named():
    ended = Step(name="stem_separation", state=StepState.COMPLETED)
    assert words.current_step(song(State.RUNNING, VALIDATED, *waiting("stem_separation"))) == "stem_separation"
    assert words.current_step(song(State.RUNNING, VALIDATED, ended)) == "stem_separation"
    assert words.current_step(song(State.RUNNING)) == "validation"


def test_a_song_that_begins_again_does_not_go_back():
    first = song(State.RETRYING, progress=make.progress(45.0))

    assert shown(song(State.RUNNING, progress=None, attempt=2), first)["progress"] == 45
    assert shown(song(State.RUNNING, progress=make.progress(60.0), attempt=2), first)["progress"] == 60


@pytest.mark.parametrize(
    ("percent", "whole"), [(None, 10), (0.0, 10), (10.9, 10), (45.99, 45), (99.9, 99), (100.0, 99)]
)
def test_the_percentage_is_whole_and_100_only_at_the_end(percent, whole):
    assert shown(song(State.RUNNING, progress=make.progress(percent)))["progress"] == whole


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_word_and_whole_numbers(state):
    body = shown(song(state, VALIDATED, running(percent=None), SKIPPED))

    assert body["status"] in ("queued", "processing", "completed", "failed")
    for part in (body, body["stem_separation"], body["transcription"], body["beat_analysis"]):
        assert isinstance(part["progress"], int)
        assert 0 <= part["progress"] <= 100


@pytest.mark.parametrize("result", [None, 3, "text", [], {"vocals": 3}, {"tempo_bpm": "fast"}, {"file_info": 7}])
def test_tasks_of_any_kind_can_be_shown(result):
    steps = [Step(name=name, state=StepState.COMPLETED, result=result) for name in audio.STEPS]

    body = shown(make.task(state=State.COMPLETED, result=result, steps=tuple(steps)))

    assert body["status"] == "completed"
    assert body["audio_duration"] is None


def test_secrets_in_failures_are_hidden():
    failure = Failure(type="t", message="could not read https://me:secret@host/song.mp3")

    assert "secret" not in shown(song(State.FAILED, error=failure))["error_message"]


def test_the_short_form_says_the_same():
    task = song(State.RUNNING, running(), progress=make.progress(45.0), changed=EventId(5_000, 0))

    assert msgspec.to_builtins(words.simple_body(task)) == {
        "job_id": task.id,
        "status": "processing",
        "progress": 45,
        "current_step": "stem_separation",
        "error_message": None,
    }


def test_links_are_paths_in_which_every_name_is_safe():
    task = song()

    assert words.link(task, "a b#?%.wav") == f"/api/files/{task.id}/a%20b%23%3F%25.wav"
    assert words.link(task, "") is None
