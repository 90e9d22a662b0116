"""Songs come in: what is taken, what is refused and with which words, and what lies where afterwards."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from progresshub.dialects.stems.songs import FileInfo, Options, estimate_s, sniff
from progresshub.jobs import audio
from progresshub.model import State
from tests import make
from tests.faults.raw import raw
from tests.serving import Client, serving
from tests.wait import until

PAUSED = "queues.default.paused=true"
ID3 = b"ID3\x04\0\0\0\0\0\0" + bytes(400)
FRAME = b"\xff\xfb\x90\x64" + bytes(413)
WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(100)
M4A = b"\0\0\0\x1cftypM4A \0\0\0\0" + bytes(100)
FLAC = b"fLaC\0\0\0\x22" + bytes(100)


@pytest.fixture(autouse=True)
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has all that songs need, whatever this one has."""
    monkeypatch.setattr(audio, "missing", lambda: "")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Client]:
    """A server that takes songs and does not work on them."""
    async with serving(tmp_path, PAUSED, "audio.most_bytes=2000000", "audio.min_free_bytes=0") as client:
        yield client


def form(content: bytes = ID3, name: str = "espresso.mp3", **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData(quote_fields=False)
    for field, value in fields.items():
        made.add_field(field, value)
    made.add_field("file", BytesIO(content), filename=name, content_type="application/octet-stream")
    return made


async def upload(client: Client, made: Any, **headers: str) -> tuple[int, Any]:
    return await client.ask("POST", "/api/process", data=made, headers=headers)


async def refused(client: Client, status: int, made: Any, **headers: str) -> str:
    """What is said where a form is refused with that status, and leaves nothing."""
    got, body = await upload(client, made, **headers)
    assert (got, body["error"], body["status_code"]) == (status, True, status), body
    return str(body["message"])


async def test_a_song_is_taken_and_described(hub: Client, tmp_path: Path) -> None:
    status, taken = await upload(hub, form(ID3, "Espresso (live).mp3"))

    job_id = taken["job_id"]
    assert status == 200
    assert taken == {
        "job_id": job_id,
        "status": "queued",
        "message": "Espresso (live).mp3 is here and will be taken apart",
        "filename": "Espresso (live).mp3",
        "file_size": len(ID3),
        "file_info": {"filename": "Espresso (live).mp3", "size": len(ID3), "format": "mp3"},
        "estimated_time": 1,
    }
    assert (tmp_path / "files" / job_id / "Espresso (live).mp3").read_bytes() == ID3


async def test_it_is_queued_and_validated_next(hub: Client) -> None:
    _, taken = await upload(hub, form())

    body = await hub.get(f"/api/status/{taken['job_id']}")
    simple = await hub.get(f"/api/status/{taken['job_id']}/simple")

    assert (body["status"], body["progress"], body["current_step"]) == ("queued", 10, "validation")
    assert body["file_size"] == len(ID3)
    assert simple == {
        "job_id": taken["job_id"],
        "status": "queued",
        "progress": 10,
        "current_step": "validation",
        "error_message": None,
    }


async def test_it_is_a_task_like_any_other_with_its_options(hub: Client) -> None:
    fields: dict[str, Any] = {
        "enable_beat_tracking": "false",
        "language": " en ",
        "audio_sample_rate": "22050",
        "whisper_model": "",
    }
    _, taken = await upload(hub, form(**fields))

    task = await hub.task(taken["job_id"])

    assert (task["type"], task["origin"], task["title"]) == ("audio", "stems", "espresso.mp3")
    assert task["payload"] == {
        "file": "espresso.mp3",
        "path": None,
        "name": "espresso.mp3",
        "enable_beat_tracking": False,
        "enable_vocals_extraction": True,
        "language": "en",
        "whisper_model": None,
        "demucs_model": None,
        "audio_sample_rate": 22_050,
    }


@pytest.mark.parametrize(
    ("content", "known"), [(ID3, "mp3"), (FRAME, "mp3"), (WAV, "wav"), (M4A, "m4a"), (FLAC, "flac")]
)
async def test_the_format_is_what_is_in_it_not_what_it_is_called(hub: Client, content: bytes, known: str) -> None:
    _, taken = await upload(hub, form(content, "song.bin"))

    assert taken["file_info"]["format"] == known


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1/secret.mp3\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<html><body>no song</body></html>",
        b"OggS\0\x02" + bytes(100),
        b"RIFF\x24\0\0\0AVI LIST",
        b"\xff\xf1\x50\x80" + bytes(100),
        b"\xff\xfb\xf0\x64" + bytes(100),
        b"\xff",
        b"x",
    ],
    ids=["HLS", "concat", "HTML", "Ogg", "AVI", "ADTS", "bad bitrate", "one byte", "text"],
)
async def test_what_is_no_song_is_refused(hub: Client, tmp_path: Path, content: bytes) -> None:
    message = await refused(hub, 400, form(content))

    assert message == "Unsupported audio format: espresso.mp3 holds none of mp3, wav, m4a, flac."
    assert not list((tmp_path / "staged").glob("*"))
    assert not list((tmp_path / "files").glob("*"))


async def test_what_is_no_song_is_refused_by_its_first_bytes(hub: Client) -> None:
    head = b"POST /api/process HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=sea\r\n"
    part = b'--sea\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nPK\x03\x04' + bytes(1_000)

    async with raw(hub.url) as sending:
        await sending.send(head + b"Content-Length: 1000000\r\n\r\n" + part)
        answer = await sending.answer()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Unsupported audio format" in answer


async def test_a_song_that_is_too_large_is_refused(hub: Client) -> None:
    assert "2000000 bytes" in await refused(hub, 413, form(ID3 + bytes(2_000_000)))


async def test_an_empty_song_is_refused(hub: Client) -> None:
    assert "empty" in await refused(hub, 400, form(b""))


@pytest.mark.parametrize("name", ["../espresso.mp3", "a/b.mp3", "C:\\espresso.mp3", ".mp3", "..", "x" * 210])
async def test_a_name_with_path_parts_is_refused(hub: Client, name: str) -> None:
    await refused(hub, 400, form(ID3, name))


async def test_a_form_without_a_song_is_refused(hub: Client) -> None:
    without = aiohttp.FormData({"language": "en"}, default_to_multipart=True)
    elsewhere = aiohttp.FormData()
    elsewhere.add_field("song", BytesIO(ID3), filename="a.mp3")
    as_text = aiohttp.FormData({"file": "espresso.mp3"}, default_to_multipart=True)

    for made in (without, elsewhere, as_text):
        assert await refused(hub, 422, made) == "file: it is missing."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enable_beat_tracking", "perhaps"),
        ("audio_sample_rate", "high"),
        ("audio_sample_rate", "1"),
        ("language", "../en"),
        ("demucs_model", "a/b"),
        ("whisper_model", "../../model"),
    ],
)
async def test_an_option_that_makes_no_sense_is_refused(hub: Client, field: str, value: str) -> None:
    assert field in await refused(hub, 422, form(ID3, **{field: value}))


async def test_other_bodies_are_refused(hub: Client) -> None:
    await refused(hub, 415, b"{}", **{"Content-Type": "application/json"})
    await refused(hub, 415, ID3, **{"Content-Type": "audio/mpeg"})
    await refused(hub, 400, b"x", **{"Content-Type": "multipart/form-data"})


async def test_half_a_song_is_none(hub: Client, tmp_path: Path) -> None:
    head = b"POST /api/process HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=sea\r\n"
    part = b'--sea\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n' + ID3 + bytes(600_000)

    async with raw(hub.url) as leaving:
        await leaving.send(head + b"Content-Length: 1000000\r\n\r\n" + part)
        await until(lambda: any("a.mp3" in names for *_, names in os.walk(tmp_path / "staged")))

    await until(lambda: not list((tmp_path / "staged").glob("*")))
    assert (await hub.get("/api/v1/tasks"))["tasks"] == []


async def test_without_what_songs_need_they_are_refused_before_they_come(
    hub: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "missing", lambda: "pip install 'progresshub[audio]'")

    async with hub.session.post(f"{hub.url}/api/process", data=form()) as response:
        status, again, body = response.status, response.headers.get("Retry-After"), await response.json()

    assert (status, again, body["error"]) == (503, "2", True)
    assert "progresshub[audio]" in body["message"]
    assert (await hub.get("/api/upload-info"))["available"] is False
    assert await hub.submit("external")


async def test_the_limits_are_told(hub: Client) -> None:
    info = await hub.get("/api/upload-info")

    assert info["supported_formats"] == ["mp3", "wav", "m4a", "flac"]
    assert (info["max_file_size"], info["min_duration"], info["max_duration"]) == (2_000_000, 1.0, 1800.0)
    assert (info["retention_hours"], info["available"]) == (24, True)
    assert info["options"] == {
        "enable_beat_tracking": True,
        "enable_vocals_extraction": True,
        "language": None,
        "whisper_model": None,
        "demucs_model": None,
        "audio_sample_rate": None,
    }


async def test_a_song_may_be_sent_twice_and_is_taken_once(hub: Client) -> None:
    key = {"Idempotency-Key": "espresso"}

    _, first = await upload(hub, form(), **key)
    _, again = await upload(hub, form(), **key)
    await refused(hub, 409, form(FLAC), **key)

    assert first["job_id"] == again["job_id"]


@pytest.mark.parametrize(
    ("head", "known"), [(b"", None), (b"ID3", "mp3"), (b"\0\0\0\x20ftypmp42", "m4a"), (b"RF64\0\0\0\0WAVE", "wav")]
)
def test_the_first_bytes_say_what_it_is(head: bytes, known: str | None) -> None:
    assert sniff(head) == known


def test_songs_take_as_long_as_others_of_their_format_did() -> None:
    def done(kind: str, size: int, took_ms: int) -> Any:
        metadata = {"format": kind, "file_size": size}
        return make.task(state=State.COMPLETED, metadata=metadata, started_ms=1_000, finished_ms=1_000 + took_ms)

    songs = [done("mp3", 100, 1_000), done("mp3", 200, 6_000), done("mp3", 100, 9_000), done("wav", 100, 1)]

    assert estimate_s(FileInfo("a.mp3", 1_000, "mp3"), songs) == 30
    assert estimate_s(FileInfo("a.flac", 110_000 * 60, "flac"), songs) == 12
    assert estimate_s(FileInfo("a.wav", 1, "wav"), songs) == 1


def test_the_options_are_those_of_the_kind() -> None:
    assert set(Options.__struct_fields__) == set(audio.Song.__struct_fields__) - {"file", "path", "name"}
