import shutil
import subprocess
import sys

import pytest

from progresshub.errors import InvalidPayload, Unavailable
from progresshub.jobs import languages, video
from progresshub.kinds import Call
from progresshub.settings import Video
from tests import make

WITH_A_MODEL = Video(llm_url="http://localhost:11434/v1", llm_model="small")
TEXT = {"topic": "Tea", "content": "# Tea\n\n- hot"}


@pytest.fixture
def everything_installed(monkeypatch):
    monkeypatch.setattr(video, "find_spec", lambda name: True)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)


def refusal(payload, settings=WITH_A_MODEL):
    with pytest.raises(InvalidPayload) as refused:
        video.kind(settings).check(payload)
    return refused.value.details["reason"]


@pytest.mark.usefixtures("everything_installed")
def test_a_text_needs_no_model_and_the_rest_has_defaults():
    filled = video.kind(Video()).check(TEXT)

    assert (filled["num_slides"], filled["language"], filled["tone"]) == (5, "english", "formal")


@pytest.mark.usefixtures("everything_installed")
def test_a_topic_alone_is_enough_where_a_model_is_named():
    assert video.kind(WITH_A_MODEL).check({"topic": "Tea"})["content"] == ""


def test_a_topic_alone_is_refused_with_both_ways_where_none_is():
    told = refusal({"topic": "Tea", "content": " \n"}, Video())

    assert "Markdown" in told
    assert "video.llm_url" in told


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"topic": " "}, "topic: it is empty"),
        ({"num_slides": 0}, "num_slides: "),
        ({"language": "klingonese"}, "language: 'klingonese' is none of afrikaans, albanian,"),
        ({"theme": "pink"}, "theme: "),
        ({"voice": "../../x"}, "voice: "),
        ({"images": ["../secret.png"]}, "images: '../secret.png' is not the bare name of a file"),
        ({"images": ["a\\b.png"]}, "images: 'a\\\\b.png' is not the bare name of a file"),
        ({"images": [".hidden.png"]}, "images: '.hidden.png' is not the bare name of a file"),
        ({"images": ["a.svg"]}, "images: 'a.svg' is none of .png .jpg"),
        ({"images": ["a.png", "a.png"]}, "images: a name is there twice"),
        ({"slides": 3}, "there is no field slides"),
    ],
)
def test_what_can_not_be_made_is_refused_in_words(more, reason):
    assert refusal({**TEXT, **more}).startswith(reason)


def test_more_slides_than_the_settings_allow_are_refused():
    assert refusal({**TEXT, "num_slides": 9}, Video(max_slides=8)) == "num_slides: the most are 8"


@pytest.mark.usefixtures("nothing_installed")
def test_all_that_is_missing_is_named_before_a_task_is_taken():
    assert video.missing(Video()) == ["progresshub[video]", "ffmpeg", "espeak-ng"]
    with pytest.raises(Unavailable, match=r"progresshub\[video\], ffmpeg, espeak-ng"):
        video.kind(Video()).check(TEXT)


@pytest.mark.usefixtures("everything_installed")
def test_nothing_is_missing_where_all_is_there():
    assert video.missing(Video()) == []


def test_piper_with_a_voice_stands_in_for_espeak(monkeypatch, everything_installed):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "espeak-ng" else name)

    assert video.missing(Video()) == ["espeak-ng"]
    assert video.missing(Video(piper_voices=("/srv/en_US-amy-medium.onnx",))) == []


def test_a_worker_gets_the_request_and_the_settings_in_a_process_of_its_own():
    call = video.kind(WITH_A_MODEL).launch(make.task(kind="video", payload=TEXT))

    assert isinstance(call, Call)
    assert (call.pool, call.fresh, call.arguments["request"]) == ("video", True, TEXT)
    assert call.arguments["settings"]["llm_model"] == "small"


@pytest.mark.parametrize(
    ("asked", "voice"), [("english", "en-us"), (" German ", "de"), ("zh", "cmn"), ("PT_br", "pt-br"), ("fr", "fr-fr")]
)
def test_a_language_is_found_by_name_and_by_code(asked, voice):
    found = languages.find(asked)

    assert found is not None
    assert found.voice == voice


@pytest.mark.parametrize(
    ("usual", "text", "spoken"),
    [
        ("english", "How tea is made", "english"),
        ("english", "كيف يُصنع الشاي", "arabic"),
        ("persian", "چای چگونه ساخته می‌شود", "persian"),
        ("english", "Как делают чай", "russian"),
        ("ukrainian", "Як роблять чай", "ukrainian"),
        ("english", "绿茶的世界", "chinese"),
        ("cantonese", "綠茶的世界", "cantonese"),
        ("english", "緑茶は蒸して作られます", "japanese"),
        ("chinese", "緑茶は蒸して作られます", "japanese"),
        ("english", "한국의 녹차", "korean"),
        ("arabic", "Tea-Master 3000", "arabic"),
        ("english", "the word شاي is Arabic", "english"),
        ("german", "90 °C … 🍵", "german"),
    ],
)
def test_a_sentence_is_in_the_films_language_unless_its_script_says_another(usual, text, spoken):
    language = languages.find(usual)

    assert language is not None
    assert languages.of_text(text, language).name == spoken


def test_each_language_has_a_name_and_a_code_of_its_own():
    assert len(set(languages.NAMES)) == len({language.code for language in languages.LANGUAGES}) == len(languages.NAMES)


def test_a_server_imports_nothing_that_only_films_need():
    program = "import sys, progresshub.server; print(*{name.partition('.')[0] for name in sys.modules})"

    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert not {"PIL", "markdown_it"} & set(imported.stdout.split())
