"""Whole films, made by the programs of this machine and looked into."""

import json
import signal
import threading
import time

import msgspec
import pytest

from progresshub.jobs.film import completion, encoding, speech
from progresshub.jobs.film.making import SIDE_FILES, WORKSHOP
from progresshub.jobs.video import Result
from progresshub.settings import Video
from tests.films import TEA, cup, film, probe
from tests.models import Reply, deck, language_model

SMALL = Video(height=480)


@pytest.fixture(scope="module")
def tea(tmp_path_factory):
    """A film of five slides, with all that can stand on one."""
    directory = tmp_path_factory.mktemp("tea")
    return directory, film(directory, SMALL, content=TEA, images=[cup(directory)])


def test_a_film_has_picture_sound_subtitles_and_chapters(tea):
    directory, made = tea

    found = probe(directory / made.result["video"])

    streams = {stream["codec_type"]: stream for stream in found["streams"]}
    assert {"video", "audio", "subtitle"} <= streams.keys()
    assert (streams["video"]["codec_name"], streams["audio"]["codec_name"]) == ("h264", "aac")
    assert (streams["video"]["width"], streams["video"]["height"]) == (854, 480)
    assert streams["subtitle"]["tags"]["language"] == "eng"
    titles = [chapter["tags"]["title"] for chapter in found["chapters"]]
    assert titles == ["Tea, in short", "From leaf to cup", "A recipe", "Kinds", "A picture"]


def test_it_is_as_long_as_its_script_says(tea):
    directory, made = tea
    script = made.result["script_data"]

    found = probe(directory / made.result["video"])

    for stream in found["streams"][:2]:
        assert float(stream["duration"]) == pytest.approx(script["total_duration"], rel=0.05)
    starts = [float(chapter["start_time"]) for chapter in found["chapters"]]
    assert starts == pytest.approx([said["start_time"] for said in script["slide_scripts"]], abs=0.01)
    assert script["slide_scripts"][-1]["end_time"] == script["total_duration"] == made.result["duration_s"]


def test_its_index_comes_first_so_that_it_plays_while_it_loads(tea):
    directory, made = tea
    content = (directory / made.result["video"]).read_bytes()

    assert content.index(b"moov") < content.index(b"mdat")


def test_its_result_says_what_is_seen_and_said(tea):
    _, made = tea

    result = msgspec.convert(made.result, Result)

    second, last = result.content_data.slides[1], result.content_data.slides[4]
    assert (second.title, second.content_text) == ("From leaf to cup", "Leaves are picked\nLeaves wither\nfor a day")
    assert (second.needs_animation, second.needs_image) == (True, False)
    assert (last.needs_image, last.image_keyword) == (True, "a cup of tea")
    said = [script.narration_text for script in result.script_data.slide_scripts]
    assert said[:3] == ["Tea, in short.", "First the leaves are picked. Then they wither for a day.", "A recipe."]
    assert sum(slide.duration for slide in result.content_data.slides) == pytest.approx(result.duration_s, abs=0.01)
    assert list(result.timings_s) == ["content", "scripts", "audio", "visuals", "composition"]


def test_only_what_is_whole_lies_in_the_directory(tea):
    directory, made = tea

    assert sorted(path.name for path in directory.iterdir()) == sorted([*made.result["files"], "cup.png"])
    assert made.result["files"] == ["Tea.mp4", *SIDE_FILES]
    assert json.loads((directory / "content.json").read_text()) == made.result["content_data"]
    assert json.loads((directory / "script.json").read_text()) == made.result["script_data"]
    assert "Then they wither for a day." in (directory / "subtitles.vtt").read_text()
    assert made.result["size_bytes"] == (directory / "Tea.mp4").stat().st_size


def test_it_tells_what_it_is_doing_in_the_words_that_are_known(tea):
    _, made = tea
    messages = [report["message"] for report in made.reports if report.get("message")]

    assert made.stages() == [
        "generating_content",
        "generating_scripts",
        "generating_audio",
        "combining_audio",
        "generating_media",
        "generating_slide",
        "generating_animation",
        "fetching_image",
        "composing_video",
    ]
    assert [f"🎤 Generating audio for slide {number}/5..." in messages for number in range(1, 6)] == [True] * 5
    duration_s = made.result["content_data"]["slides"][0]["duration"]
    assert f"✅ Generated audio for slide 1/5 ({duration_s:.1f}s)" in messages


def test_its_percentages_keep_to_the_milestones_and_never_go_back(tea):
    _, made = tea
    weights = {step["name"]: step["weight"] for report in made.reports for step in report.get("steps", ())}
    ended, told = 0.0, list[tuple[str, int]]()
    for report in made.reports:
        if "percent" in report:
            told.append((report["step"], int(ended + weights[report["step"]] * report["percent"] / 100)))
        if report.get("status") == "done":
            ended += weights[report["step"]]

    assert [whole for _, whole in told] == sorted(whole for _, whole in told)
    spans = {step: [whole for other, whole in told if other == step] for step in weights}
    assert {step: (spanned[0], spanned[-1]) for step, spanned in spans.items()} == {
        "content": (10, 10),
        "scripts": (20, 20),
        "audio": (30, 49),
        "visuals": (50, 80),
        "composition": (85, 95),
    }
    assert {33, 37, 41, 45} <= set(spans["audio"])
    assert {56, 62, 68, 74} <= set(spans["visuals"])


def test_a_topic_becomes_a_film_where_a_model_writes_it(tmp_path):
    with language_model(Reply(deck(2))) as model:
        settings = Video(height=480, llm_url=model.url, llm_model="small")
        made = film(tmp_path, settings, topic="../How: tea?", num_slides=2, language="german", theme="dark")

    assert made.result["video"] == "How_tea.mp4"
    assert made.result["script_data"]["language"] == "german"
    assert [slide["title"] for slide in made.result["content_data"]["slides"]] == ["Part 1", "Part 2"]
    content = [report["percent"] for report in made.reports if report.get("step") == "content" and "percent" in report]
    assert (content[0], content[-1]) == (50.0, 95.0)
    assert {"📝 Writing slide 1/2...", "📝 Writing slide 2/2..."} <= {report.get("message") for report in made.reports}


def test_a_model_that_fails_is_the_reason_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(completion, "BACKOFF_S", 0.0)
    with language_model(Reply("no such model", status=404)) as model:
        made = film(tmp_path, Video(llm_url=model.url, llm_model="small"))

    assert made.last["error"] == "the language model's server answered 404: no such model"
    assert (made.last["error_type"], made.last["retry"]) == ("llm_refused", False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("arabic", "# الشاي\n\n- يُصنع من الأوراق"),
        ("chinese", "# 茶\n\n- 用热水泡茶。很好喝。"),
        ("hindi", "# चाय\n\n- चाय गरम है।"),
        ("fr", "# Le thé 🍵\n\n- C'est « très » bon"),
    ],
)
def test_films_speak_other_languages(language, text, tmp_path):
    made = film(tmp_path, SMALL, content=text, language=language, topic=text[2:6].strip())

    assert probe(tmp_path / made.result["video"])["chapters"]
    assert made.result["duration_s"] > 2


@pytest.mark.parametrize(
    ("payload", "error_type"),
    [
        ({"content": "# A\n\n![](../../secret.png)"}, "image"),
        ({"content": "# A\n\n![](http://127.0.0.1/x.png)"}, "image"),
        ({"content": "# A\n\n![](gone.png)", "images": ["gone.png"]}, "image"),
        ({"content": "\n".join(f"# {number}" for number in range(60))}, "content"),
        ({"content": "# A", "voice": "nobody"}, "voice"),
        ({"content": "# A\n\n> Note: " + "This goes on and on. " * 9}, "too_long"),
    ],
)
def test_what_can_not_be_made_is_said_and_leaves_nothing(payload, error_type, tmp_path):
    made = film(tmp_path, Video(max_duration_s=5.0), **payload)

    assert (made.last["status"], made.last["error_type"], made.last["retry"]) == ("failed", error_type, False)
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_fails_is_told_in_its_own_words(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "BITRATE", "nonsense")

    made = film(tmp_path, SMALL, content="# A")

    assert made.last["error"].startswith("ffmpeg: ")
    assert made.last["error_type"] == "ffmpeg"
    assert str(tmp_path) not in made.last["error"]


def test_what_no_font_has_is_told_in_the_log(tmp_path, capfd):
    film(tmp_path, SMALL, content="# \ue999 tea")

    assert "no font of this machine has \ue999;" in capfd.readouterr().out


def test_a_full_disk_may_have_room_another_time(tmp_path, monkeypatch):
    def say(voice, text, path):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(speech.Voice, "say", say)

    made = film(tmp_path, Video(piper_voices=()), content="# A")

    assert made.last["error"] == "the film can't be written: No space left on device"
    assert made.last["retry"] is True
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_half_way_leaves_nothing(tmp_path, monkeypatch, request):
    encode, begun = encoding.encode, threading.Event()

    def interrupted(*given, **named):
        assert (tmp_path / WORKSHOP / "track.wav").exists()
        begun.set()
        signal.raise_signal(signal.SIGINT)
        encode(*given, **named)

    monkeypatch.setattr(encoding, "encode", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs beside it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    started_s = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        film(tmp_path, SMALL, content=TEA, images=[cup(tmp_path)])

    assert begun.is_set()
    assert [path.name for path in tmp_path.iterdir()] == ["cup.png"]
    assert time.monotonic() - started_s < 30
