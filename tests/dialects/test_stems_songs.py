"""Real songs, from the upload to the last file: their stems are what they were, and their beats are right."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import numpy as np
import pytest
import pytest_asyncio

from progresshub.jobs import audio
from tests import songs
from tests.serving import Client, serving
from tests.wait import PATIENCE_S

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed, so no song can be decoded"),
]

BPM = 120.0
SECONDS = 10.0
PARTS = ("stem_separation", "transcription", "beat_analysis")
ENDS = ("completed", "failed")
POLL_S = 0.02


class Place(NamedTuple):
    hub: Client
    folder: Path
    song: songs.Song


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("songs")
    song = songs.song(BPM, SECONDS)
    songs.save(folder / "espresso.wav", song.mix)
    async with serving(folder / "data") as hub:
        yield Place(hub, folder, song)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def done(place: Place) -> str:
    """A song that was taken apart."""
    job_id = await upload(place.hub, place.folder / "espresso.wav")
    statuses = await followed(place.hub, job_id)
    assert statuses[-1]["status"] == "completed", statuses[-1]
    return job_id


def encoded(place: Place, name: str, *options: str) -> Path:
    """The song in another format."""
    path = place.folder / name
    source = place.folder / "espresso.wav"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source), *options, str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def form(path: Path, **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData(fields, quote_fields=False)
    made.add_field("file", BytesIO(path.read_bytes()), filename=path.name)
    return made


async def upload(hub: Client, path: Path, **fields: str) -> str:
    made = form(path, **fields)
    status, taken = await hub.ask("POST", "/api/process", data=made)
    assert status == 200, taken
    return str(taken["job_id"])


async def followed(hub: Client, job_id: str) -> list[dict[str, Any]]:
    """Every status that a client sees until the end."""
    seen: list[dict[str, Any]] = []
    async with asyncio.timeout(2 * PATIENCE_S):
        while not seen or seen[-1]["status"] not in ENDS:
            seen.append(await hub.get(f"/api/status/{job_id}"))
            await asyncio.sleep(POLL_S)
    return seen


async def fetched(hub: Client, path: str) -> bytes:
    async with hub.session.get(hub.url + path) as response:
        assert response.status == 200
        return await response.read()


async def test_a_song_is_seen_to_be_taken_apart(place: Place) -> None:
    long = encoded(place, "followed.mp3", "-af", "aloop=loop=7:size=10000000", "-ac", "1", "-ar", "16000", "-t", "80")
    job_id = await upload(place.hub, long)

    seen = await followed(place.hub, job_id)

    percentages = [status["progress"] for status in seen]
    assert (seen[-1]["status"], seen[-1]["error_message"]) == ("completed", None)
    assert percentages == sorted(percentages)
    assert len(set(percentages)) > 5
    assert (percentages[0], percentages[-1]) == (10, 100)
    assert {"stem_separation", "completed"} <= {status["current_step"] for status in seen}
    for part in PARTS:
        own = [status[part]["progress"] for status in seen]
        assert own == sorted(own)
    assert len({status["stem_separation"]["progress"] for status in seen}) > 2
    assert seen[-1]["transcription"]["status"] == "skipped"
    assert abs(seen[-1]["audio_duration"] - 80) < 0.2


async def test_its_stems_add_up_to_the_song(place: Place, done: str) -> None:
    links = (await place.hub.get(f"/api/results/{done}"))["download_links"]
    whole = np.zeros_like(place.song.mix, dtype=np.float64)
    for stem in audio.STEMS:
        path = place.folder / f"{stem}.wav"
        path.write_bytes(await fetched(place.hub, links[f"{stem}_stem"]))
        samples, rate_hz = songs.load(path)
        assert rate_hz == place.song.rate_hz
        whole[:, : samples.shape[1]] += samples / 2**23

    assert songs.sdr_db(place.song.mix, whole) > 60


async def test_its_tempo_and_beats_are_right(place: Place, done: str) -> None:
    results = await place.hub.get(f"/api/results/{done}")
    beats = results["beat_analysis"]
    _, told = await place.hub.ask("GET", results["download_links"]["beat_beats"])

    assert beats["status"] == "completed"
    assert abs(beats["tempo_bpm"] - BPM) < 0.02 * BPM
    assert beats["time_signature"] == "4/4"
    assert songs.f_measure(place.song.beats_s, np.array(told["beats"])) >= 0.9
    assert told["tempo_bpm"] == beats["tempo_bpm"]
    assert {"beat_grid", "time_signature", "duration"} <= told.keys()


async def test_every_file_that_is_named_is_there(place: Place, done: str) -> None:
    results = await place.hub.get(f"/api/results/{done}")
    listing = await place.hub.get(f"/api/files/{done}")

    names = {f"espresso_{stem}.wav" for stem in audio.STEMS} | {
        f"espresso_{made}.json" for made in ("beats", "onsets", "analysis")
    }
    assert set(results["output_files"]) == names
    assert {file["filename"] for file in listing["files"]} == {*names, "espresso.wav"}
    assert {file["category"] for file in listing["files"]} == {
        *audio.STEMS,
        "beats",
        "onsets",
        "beat_analysis",
        "original",
    }
    for name, link in results["download_links"].items():
        assert (link is None) == (name == "transcription")
        assert link is None or await fetched(place.hub, link)


async def test_the_next_song_is_estimated_by_the_last_ones(place: Place, done: str) -> None:
    took_s = (await place.hub.get(f"/api/results/{done}"))["processing_time"]

    _, taken = await place.hub.ask("POST", "/api/process", data=form(place.folder / "espresso.wav"))
    await place.hub.ask("DELETE", f"/api/cleanup/{taken['job_id']}")

    assert taken["estimated_time"] == pytest.approx(took_s, rel=0.9, abs=2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.m4a", ("-c:a", "aac", "-t", "2")),
        ("a.flac", ("-t", "2")),
        ("a.bin", ("-f", "mp3", "-t", "2", "-ac", "1", "-ar", "8000")),
    ],
)
async def test_other_formats_are_taken_apart_too(place: Place, name: str, options: tuple[str, ...]) -> None:
    job_id = await upload(place.hub, encoded(place, name, *options), enable_beat_tracking="false")

    status = (await followed(place.hub, job_id))[-1]

    assert (status["status"], status["error_message"]) == ("completed", None)
    assert status["stem_separation"]["vocals_path"] == f"/api/files/{job_id}/a_vocals.wav"
    assert (status["beat_analysis"]["status"], status["beat_analysis"]["progress"]) == ("skipped", 100)


async def test_stems_may_be_left_out(place: Place) -> None:
    job_id = await upload(place.hub, place.folder / "espresso.wav", enable_vocals_extraction="false")

    status = (await followed(place.hub, job_id))[-1]

    assert [status[part]["status"] for part in PARTS] == ["skipped", "skipped", "completed"]
    assert status["stem_separation"]["vocals_path"] is None


async def test_silence_is_no_failure_of_the_song(place: Place) -> None:
    path = songs.save(place.folder / "silence.wav", np.zeros((2, 44_100 * 3), np.float32))

    job_id = await upload(place.hub, path)
    status = (await followed(place.hub, job_id))[-1]
    links = (await place.hub.get(f"/api/results/{job_id}"))["download_links"]

    assert (status["status"], status["progress"], status["error_message"]) == ("completed", 100, None)
    assert (status["beat_analysis"]["status"], status["beat_analysis"]["error"]) == ("failed", "it is silent")
    assert {name for name, link in links.items() if link} == {f"{stem}_stem" for stem in audio.STEMS}


def broken(place: Place) -> dict[str, bytes]:
    song = (place.folder / "espresso.wav").read_bytes()
    playlist = b"\n#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1/secret.mp3\n"
    return {
        "corrupt.wav": song[:12] + b"\xff" * 200,
        "lie.wav": song[:4] + b"\xf0\xff\xff\xff" + song[8:40] + b"\xf0\xff\xff\xff",
        "short.wav": song[:44] + song[44:2_000],
        "playlist.mp3": b"ID3\x04\0\0\0\0\0\0" + playlist,
        "nothing.mp3": b"ID3" + bytes(2_000),
        "film.m4a": b"\0\0\0\x1cftypisom\0\0\0\0" + bytes(500),
    }


@pytest.mark.parametrize("name", ["corrupt.wav", "lie.wav", "short.wav", "playlist.mp3", "nothing.mp3", "film.m4a"])
async def test_what_only_looks_like_a_song_fails_when_it_is_validated(place: Place, name: str) -> None:
    path = place.folder / name
    path.write_bytes(broken(place)[name])

    job_id = await upload(place.hub, path)
    status = (await followed(place.hub, job_id))[-1]
    results, refusal = await place.hub.ask("GET", f"/api/results/{job_id}")

    assert (status["status"], status["progress"], status["current_step"]) == ("failed", 0, "validation")
    assert status["error_message"]
    assert str(place.folder) not in status["error_message"]
    assert [status[part]["status"] for part in PARTS] == ["skipped"] * 3
    assert (results, refusal["message"]) == (409, f"Job {job_id} has failed and has no results.")


async def test_a_song_is_stopped_and_cleaned_up_while_it_is_taken_apart(place: Place) -> None:
    path = songs.save(place.folder / "long.wav", np.tile(place.song.mix, 12))
    job_id = await upload(place.hub, path)
    async with place.hub.stream(f"/api/v1/tasks/{job_id}/progress/stream") as stream:
        while (event := await stream.next()) is not None and event.data["stage"] != "stem_separation":
            pass

    status, _ = await place.hub.ask("DELETE", f"/api/cleanup/{job_id}")

    assert status == 200
    assert (await place.hub.ask("GET", f"/api/status/{job_id}"))[0] == 404
    assert not (place.folder / "data" / "files" / job_id).exists()


async def test_songs_are_kept_for_a_day(place: Place) -> None:
    assert audio.RETENTION_MS == 24 * 3_600_000
    assert (await place.hub.get("/api/upload-info"))["retention_hours"] == 24
