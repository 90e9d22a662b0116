"""A model's server over real HTTP: one that answers well, and those that fail, lie, wait or never end."""

import json
import socket
import threading

import pytest

from progresshub.jobs.film import author, completion
from progresshub.jobs.film.completion import Model
from progresshub.jobs.film.deck import Point
from progresshub.jobs.film.failures import Unfit
from progresshub.settings import Video
from tests.models import Reply, deck, language_model

MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(completion, "BACKOFF_S", 0.0)


def model_at(url, **more):
    return Model(Video(llm_url=url, llm_model="small", **more))


def ask(served, **more):
    return model_at(served.url, **more).ask(MESSAGES, lambda text: None)


def write(served, slides=3, hear=lambda begun: None):
    ask = model_at(served.url).ask
    return author.write(ask, "Tea", slides, language="german", tone="friendly", hear=hear)


def failure(served, **more):
    with pytest.raises(Unfit) as failed:
        ask(served, **more)
    return failed.value


def test_an_answer_is_heard_while_it_is_written():
    heard = list[str]()
    with language_model(Reply("A text that comes in pieces")) as served:
        answer = model_at(served.url, llm_api_key="k").ask(MESSAGES, heard.append)

    assert answer == heard[-1] == "A text that comes in pieces"
    assert len(heard) > 1
    assert served.asked == [{"model": "small", "messages": MESSAGES, "stream": True}]
    assert served.keys == ["Bearer k"]


def test_a_server_that_does_not_stream_is_understood():
    with language_model(Reply("whole", streamed=False)) as served:
        assert ask(served) == "whole"


def test_the_key_may_stand_in_a_file(tmp_path):
    (tmp_path / "key").write_text("secret\n")
    with language_model(Reply("x")) as served:
        ask(served, llm_api_key_file=str(tmp_path / "key"))
        lost = failure(served, llm_api_key_file=str(tmp_path / "none"))

    assert served.keys == ["Bearer secret"]
    assert str(tmp_path) not in str(lost)


def test_one_that_is_too_busy_is_asked_again():
    with language_model(Reply("later", status=503), Reply("later", status=429), Reply("now")) as served:
        assert ask(served) == "now"

    assert len(served.asked) == 3


def test_one_that_stays_so_is_given_up_with_its_words_and_may_be_tried_later():
    with language_model(Reply("The GPU is on fire", status=500)) as served:
        failed = failure(served)

    assert str(failed) == "the language model's server answered 500: The GPU is on fire"
    assert (failed.error_type, failed.retry, len(served.asked)) == ("llm_refused", True, 3)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_one_that_refuses_is_not_asked_again(status):
    with language_model(Reply("no", status=status)) as served:
        failed = failure(served)

    assert (failed.retry, len(served.asked)) == (False, 1)


def test_one_that_is_not_there_is_said_to_be_out_of_reach():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"

    with pytest.raises(Unfit, match="can't be reached") as failed:
        model_at(url, llm_tries=2).ask(MESSAGES, lambda text: None)

    assert (failed.value.error_type, failed.value.retry) == ("llm_unreachable", True)
    assert str(failed.value) == "the language model can't be reached: Connection refused"


def test_one_that_keeps_silent_is_waited_for_no_longer_than_set():
    with language_model(Reply("too late", held=threading.Event())) as served:
        failed = failure(served, llm_timeout_s=0.2)

    assert str(failed) == "the language model did not answer within 0.2 s"
    assert len(served.asked) == 1


def test_one_that_never_ends_is_cut_off():
    with language_model(Reply(endless=True)) as served:
        failed = failure(served, llm_answer_bytes=1000)

    assert str(failed) == "the language model's answer is longer than 1000 bytes"


def test_one_that_talks_without_saying_anything_is_cut_off():
    with language_model(Reply(raw=b": still thinking\n\n" * 20_000)) as served:
        failed = failure(served, llm_answer_bytes=1000)

    assert failed.error_type == "llm_answer"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(raw=b"data: {nonsense\n\n"),
        Reply(raw=b"data: [1, 2]\n\n"),
        Reply(raw=b"data: " + b"[" * 50_000 + b"\n\n"),
        Reply(raw=b"x" * 200_000),
        Reply(raw=b"[]", streamed=False),
        Reply(raw=b"<html>", streamed=False),
    ],
    ids=["no JSON", "a list", "deep", "one long line", "not its shape", "HTML"],
)
def test_one_that_is_no_such_server_is_not_understood(reply):
    with language_model(reply) as served:
        assert str(failure(served)) == "the language model's server does not speak the OpenAI API"


def test_a_failure_in_the_middle_of_an_answer_is_told():
    with language_model(Reply(raw=b'data: {"error": {"message": "out of memory"}}\n\n')) as served:
        assert "out of memory" in str(failure(served, llm_tries=1))


def test_no_redirect_is_followed_with_the_key():
    with language_model(Reply(location="/elsewhere")) as served:
        failed = failure(served, llm_api_key="k")

    assert "302" in str(failed)
    assert len(served.asked) == 1


def test_a_deck_is_written_and_each_slide_told_when_it_begins():
    heard = list[int]()
    with language_model(Reply(deck(3))) as served:
        written = write(served, hear=heard.append)

    assert [slide.title for slide in written.slides] == ["Part 1", "Part 2", "Part 3"]
    assert written.slides[0].elements == (Point("Point 1.0"), Point("Point 1.1"))
    assert written.slides[0].notes == "This is part 1. It is short."
    assert heard == sorted(heard)
    assert set(heard) == {1, 2, 3}
    rules = served.asked[0]["messages"][0]["content"]
    assert all(wish in rules for wish in ("exactly 3 slides", "german", "friendly"))


@pytest.mark.parametrize(
    "dressed", ["```json\n{}\n```", "Here you are:\n{}\nEnjoy!", "<think>{{maybe}} {{\n</think>{}"]
)
def test_a_deck_is_found_in_what_is_said_around_it(dressed):
    text = dressed.replace("{}", "@").replace("{{", "{").replace("}}", "}").replace("@", deck(1))
    with language_model(Reply(text)) as served:
        assert len(write(served, 1).slides) == 1


def test_slides_beyond_those_asked_for_are_left_out():
    with language_model(Reply(deck(5))) as served:
        assert len(write(served, 3).slides) == 3


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ("I would rather not.", "there is no JSON object in it"),
        ('{"slides": "three"}', "slides: expected array, got str"),
        ('{"slides": []}', "slides: expected array of length >= 1"),
        (json.dumps({"slides": [{"title": "x", "points": []}] * 3}), "slides[0].narration is missing"),
        (deck(2), "there are 2 slides, not 3"),
        ("{" * 5_000 + "}", "it is not JSON"),
    ],
)
def test_an_answer_that_does_not_fit_is_sent_back_once_with_the_reason(lie, reason):
    with language_model(Reply(lie), Reply(deck(3))) as served:
        assert len(write(served).slides) == 3

    _, _, theirs, ours = served.asked[1]["messages"]
    assert theirs == {"role": "assistant", "content": lie}
    assert reason in ours["content"]


def test_one_that_goes_on_lying_is_given_up():
    with language_model(Reply('{"slides": 7}')) as served, pytest.raises(Unfit, match="asked twice") as failed:
        write(served)

    assert (failed.value.error_type, failed.value.retry, len(served.asked)) == ("llm_answer", False, 2)
