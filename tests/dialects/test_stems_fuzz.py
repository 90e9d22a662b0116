"""Whatever is sent to the stems dialect, the answer is an answer: in JSON, and never a mistake of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from progresshub.dialects.stems import STEMS
from progresshub.jobs import audio
from tests.serving import Client, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

SONG = b"ID3\x04\0\0\0\0\0\0" + bytes(100)
PATIENT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

texts = st.text(max_size=30)
names = st.sampled_from(["file", "language", "enable_beat_tracking", "audio_sample_rate", "demucs_model"]) | texts
values = st.sampled_from([b"true", b"en", b"44100", b"-1", b"", SONG]) | texts.map(str.encode) | st.binary(max_size=40)
file_names = st.none() | st.sampled_from(["a.mp3", "../a.mp3", "", ".", "a\0b", 'a"b', "x" * 300, "Käse ♫.mp3"]) | texts
parts = st.lists(st.tuples(names, file_names, values), max_size=4)
mess = st.sampled_from([b"", b"--sea--", b"\r\n--sea\r\n", b"--sea\r\n\r\n", b"\0" * 100]) | st.binary(max_size=60)
types = st.sampled_from(["multipart/form-data; boundary=sea", 'multipart/form-data; boundary="sea"'])
bad_types = st.sampled_from(["multipart/form-data", "multipart/form-data; boundary=", "application/json", "text/plain"])
ids = texts.filter(bool) | st.uuids().map(str) | st.sampled_from(["..", "%00", "simple", "summary"])


class Place(NamedTuple):
    client: Client
    data: Path


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    data = tmp_path_factory.mktemp("fuzz")
    flags = ("queues.default.paused=true", "audio.min_free_bytes=0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "missing", lambda: "")
        async with serving(data, *flags) as client:
            yield Place(client, data)


def written(form: list[tuple[str, str | None, bytes]]) -> bytes:
    """A form as bytes, its names as they are."""
    lines = []
    for name, file_name, value in form:
        called = "" if file_name is None else f'; filename="{file_name}"'
        head = f'--sea\r\nContent-Disposition: form-data; name="{name}"{called}\r\n\r\n'
        lines.append(head.encode(errors="surrogatepass") + value + b"\r\n")
    return b"".join(lines)


def check(status: int, body: bytes) -> None:
    assert status < 500, body
    if status >= 400:
        said = json.loads(body)
        assert said["error"]
        assert said["message"]
        assert said["status_code"] == status


async def send(place: Place, body: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    async with place.client.session.post(f"{place.client.url}/api/process", data=body, headers=headers) as response:
        status, said = response.status, await response.read()
    check(status, said)
    assert not list((place.data / "staged").glob("*"))
    if status == 200:
        job_id = json.loads(said)["job_id"]
        assert (await place.client.get(f"/api/status/{job_id}"))["status"] == "queued"


@PATIENT
@given(form=parts, ends=st.booleans(), content_type=types)
async def test_any_form_is_answered(place: Place, form: Any, ends: bool, content_type: str) -> None:
    await send(place, written(form) + (b"--sea--\r\n" if ends else b""), content_type)


@PATIENT
@given(song=st.just(("file", "a.mp3", SONG)), others=parts, content_type=types)
async def test_a_song_among_anything_is_taken_or_refused(
    place: Place, song: Any, others: Any, content_type: str
) -> None:
    await send(place, written([song, *others]) + b"--sea--\r\n", content_type)


@PATIENT
@given(before=mess, body=mess, content_type=types | bad_types)
async def test_any_mess_is_answered(place: Place, before: bytes, body: bytes, content_type: str) -> None:
    await send(place, before + body, content_type)


@PATIENT
@given(route=st.sampled_from([route for route in STEMS.routes if route.method != "POST"]), job_id=ids, name=texts)
async def test_any_path_is_answered(place: Place, route: Any, job_id: str, name: str) -> None:
    path = route.path.replace("{job_id}", quote(job_id, safe="")).replace("{filename:.+}", quote(name, safe="/"))

    async with place.client.session.request(
        route.method, URL(place.client.url + path, encoded=True), params={"inline": name}, allow_redirects=False
    ) as response:
        check(response.status, await response.read())
