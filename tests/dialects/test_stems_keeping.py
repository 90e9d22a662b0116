"""What is kept of a song: results, files and their list, by work that is reported from outside; and its end."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.serving import Client, serving

WAV = b"RIFF\x24\0\0\0WAVEfmt " + bytes(1_000)
FILES = {"espresso.mp3": b"ID3", "espresso_vocals.wav": WAV, "espresso_beats.json": b"{}", "notes.html": b"<b>"}
ABOUT = {
    "duration_s": 180.0,
    "sample_rate": 44_100,
    "channels": 2,
    "format": "mp3",
    "codec": "mp3",
    "size_bytes": 4_500_000,
}
BEATS = {"tempo_bpm": 120.5, "beat_count": 240, "time_signature": "4/4", "beats_file": "espresso_beats.json"}


async def begun(client: Client) -> str:
    """A job with files, whose work is done by whoever reports it."""
    made = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    made.add_field("task", '{"type": "external", "payload": {}, "metadata": {"filename": "espresso.mp3"}}')
    for name, content in FILES.items():
        made.add_field("file", BytesIO(content), filename=name)
    _, created = await client.ask("POST", "/api/v1/tasks", data=made)
    return str(created["task_id"])


async def completed(client: Client) -> str:
    job_id = await begun(client)
    stems = {"vocals": "espresso_vocals.wav", "engine": "builtin"}
    await client.report(job_id, step="validation", status="done", result=ABOUT)
    await client.report(job_id, step="stem_separation", status="done", result=stems)
    await client.report(job_id, step="transcription", status="skipped", result={"skipped": True, "reason": "x"})
    await client.report(job_id, step="beat_analysis", status="done", result=BEATS)
    await client.report(job_id, status="done", result={"engine": "builtin"})
    return job_id


async def test_results_are_all_there_is(client: Client) -> None:
    job_id = await completed(client)
    top = f"/api/files/{job_id}"

    body = await client.get(f"/api/results/{job_id}")

    assert (body["job_id"], body["status"], body["engine"]) == (job_id, "completed", "builtin")
    assert body["file_info"] == {
        "filename": "espresso.mp3",
        "size": 4_500_000,
        "format": "mp3",
        "duration": 180.0,
        "sample_rate": 44_100,
        "channels": 2,
    }
    assert body["stem_separation"]["vocals_path"] == f"{top}/espresso_vocals.wav"
    assert body["transcription"]["status"] == "skipped"
    assert body["beat_analysis"]["tempo_bpm"] == 120.5
    assert set(body["processing_times"]) == {"validation", "stem_separation", "beat_analysis"}
    assert body["output_files"] == ["espresso_beats.json", "espresso_vocals.wav", "notes.html"]
    assert body["download_links"] == {
        "vocals_stem": f"{top}/espresso_vocals.wav",
        "drums_stem": None,
        "bass_stem": None,
        "other_stem": None,
        "transcription": None,
        "beat_analysis": None,
        "beat_beats": f"{top}/espresso_beats.json",
        "beat_onsets": None,
    }


async def test_the_summary_is_short(client: Client) -> None:
    job_id = await completed(client)

    body = await client.get(f"/api/results/{job_id}/summary")

    assert (body["filename"], body["audio_duration"], body["stems"]) == ("espresso.mp3", 180.0, ["vocals"])
    assert (body["tempo_bpm"], body["time_signature"], body["output_files"]) == (120.5, "4/4", 3)


@pytest.mark.parametrize("path", ["/api/results/{}", "/api/results/{}/summary"])
async def test_results_have_to_be_waited_for(client: Client, path: str) -> None:
    job_id = await begun(client)

    status, body = await client.ask("GET", path.format(job_id))

    assert (status, body) == (
        409,
        {
            "error": True,
            "message": f"Job {job_id} is processing; its results are there when it is completed.",
            "status_code": 409,
        },
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/results/nobody"),
        ("GET", "/api/results/nobody/summary"),
        ("GET", "/api/files/nobody"),
        ("GET", "/api/files/nobody/a.wav"),
        ("DELETE", "/api/cleanup/nobody"),
    ],
)
async def test_an_unknown_job_is_told_in_the_words_of_this_api(client: Client, method: str, path: str) -> None:
    status, body = await client.ask(method, path)

    assert (status, body) == (404, {"error": True, "message": "There is no task nobody.", "status_code": 404})


async def test_an_unknown_status_is_refused_in_all_words(client: Client) -> None:
    status, body = await client.ask("GET", "/api/status/nobody/simple")

    assert (status, body["status_code"], body["detail"]) == (404, 404, "There is no task nobody.")


async def test_files_are_listed_with_what_they_are(client: Client) -> None:
    job_id = await completed(client)

    body = await client.get(f"/api/files/{job_id}")

    assert (body["total_files"], body["total_size"]) == (4, sum(map(len, FILES.values())))
    assert [(file["filename"], file["category"], file["mime_type"]) for file in body["files"]] == [
        ("espresso.mp3", "original", "audio/mpeg"),
        ("espresso_beats.json", "beats", "application/json"),
        ("espresso_vocals.wav", "vocals", "audio/wav"),
        ("notes.html", "file", "text/html"),
    ]
    vocals = body["files"][2]
    assert vocals["size"] == len(WAV)
    assert vocals["download_url"] == f"/api/files/{job_id}/espresso_vocals.wav"
    assert vocals["preview_url"] == f"/api/files/{job_id}/espresso_vocals.wav?inline=true"


async def test_a_file_is_saved_or_played_whole_or_in_part(client: Client) -> None:
    job_id = await completed(client)
    url = f"{client.url}/api/files/{job_id}/espresso_vocals.wav"

    async with client.session.get(url) as whole, client.session.head(url) as head:
        assert (await whole.read(), whole.content_type) == (WAV, "audio/wav")
        assert whole.headers["Content-Disposition"] == "attachment; filename*=UTF-8''espresso_vocals.wav"
        assert whole.headers["X-Content-Type-Options"] == "nosniff"
        assert (head.status, head.content_length) == (200, len(WAV))
    async with client.session.get(url, params={"inline": "true"}, headers={"Range": "bytes=0-3"}) as part:
        assert (part.status, await part.read()) == (206, b"RIFF")
        assert part.headers["Content-Range"] == f"bytes 0-3/{len(WAV)}"
        assert part.headers["Content-Disposition"].startswith("inline;")
    async with client.session.get(url, headers={"Range": "bytes=999999-"}) as beyond:
        assert beyond.status == 416


async def test_what_a_browser_might_run_is_never_shown(client: Client) -> None:
    job_id = await completed(client)

    async with client.session.get(f"{client.url}/api/files/{job_id}/notes.html?inline=1") as response:
        assert response.headers["Content-Disposition"].startswith("attachment;")
        assert "sandbox" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("..%2Fespresso.mp3", 400),
        ("a/espresso.mp3", 400),
        ("%2e%2e%2f%2e%2e%2fprogresshub.db", 400),
        ("a%5Cb.wav", 400),
        ("nothing.wav", 404),
        (".hidden", 404),
        ("%00", 404),
    ],
)
async def test_a_name_that_is_none_of_its_files_is_refused(client: Client, name: str, status: int) -> None:
    job_id = await completed(client)

    async with client.session.get(URL(f"{client.url}/api/files/{job_id}/{name}", encoded=True)) as response:
        got, body = response.status, await response.json()

    assert (got, body["error"], body["status_code"]) == (status, True, status)


async def test_a_job_that_is_cleaned_up_is_gone_with_its_files(client: Client, tmp_path: Path) -> None:
    job_id = await completed(client)

    status, body = await client.ask("DELETE", f"/api/cleanup/{job_id}")

    assert (status, body["job_id"], body["deleted_files"]) == (200, job_id, 4)
    assert body["freed_bytes"] == sum(map(len, FILES.values()))
    assert (await client.ask("GET", f"/api/status/{job_id}"))[0] == 404
    assert not (tmp_path / "files" / job_id).exists()


async def test_a_job_that_is_worked_on_is_stopped_and_cleaned_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        job_id = await client.submit("demo", {"message": "x", "count": 10_000})
        async with client.stream(f"/api/v1/tasks/{job_id}/progress/stream") as stream:
            await stream.until("progress")

        status, _ = await client.ask("DELETE", f"/api/cleanup/{job_id}")

        assert status == 200
        assert (await client.ask("GET", f"/api/v1/tasks/{job_id}"))[0] == 404


async def test_a_job_that_waits_is_cleaned_up(tmp_path: Path) -> None:
    async with serving(tmp_path, "queues.default.paused=true") as client:
        job_id = await client.submit("demo", {"message": "x", "count": 1})

        assert (await client.ask("DELETE", f"/api/cleanup/{job_id}"))[0] == 200
        assert (await client.ask("DELETE", f"/api/cleanup/{job_id}"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/process"),
        ("GET", "/api/status/x"),
        ("GET", "/api/status/x/simple"),
        ("GET", "/api/results/x"),
        ("GET", "/api/results/x/summary"),
        ("GET", "/api/files/x"),
        ("GET", "/api/files/x/a.wav"),
        ("DELETE", "/api/cleanup/x"),
        ("GET", "/api/upload-info"),
    ],
)
async def test_pages_of_other_origins_may_ask_first(tmp_path: Path, method: str, path: str) -> None:
    asking: dict[str, Any] = {
        "Origin": "http://karaoke.example",
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type",
    }
    async with (
        serving(tmp_path, 'server.allowed_origins=["http://karaoke.example"]') as client,
        client.session.options(client.url + path, headers=asking) as response,
    ):
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "http://karaoke.example"
        assert method in response.headers["Access-Control-Allow-Methods"]
        assert "content-type" in response.headers["Access-Control-Allow-Headers"].lower()


async def test_pages_of_other_origins_read_answers_and_play_files(tmp_path: Path) -> None:
    headers = {"Origin": "http://karaoke.example", "Content-Type": "application/json"}
    async with serving(tmp_path, 'server.allowed_origins=["http://karaoke.example"]') as client:
        job_id = await completed(client)
        url = client.url

        async with client.session.get(f"{url}/api/status/{job_id}", headers=headers) as response:
            assert response.status == 200
            assert response.headers["Access-Control-Allow-Origin"] == "http://karaoke.example"
        async with client.session.get(f"{url}/api/files/{job_id}/espresso_vocals.wav") as response:
            assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


AGAIN = """
import time
from pathlib import Path
from progresshub import Context, task


@task(max_retries=1)
def climb(ctx: Context, slip: str, gate: str) -> None:
    if not Path(slip).exists():
        Path(slip).touch()
        ctx.progress(45)
        raise RuntimeError("slipped")
    ctx.progress(5)
    while not Path(gate).exists():
        time.sleep(0.02)
"""


async def test_a_job_that_begins_again_is_not_seen_to_go_back(tmp_path: Path) -> None:
    (tmp_path / "climbing.py").write_text(AGAIN)
    payload = {"slip": str(tmp_path / "slip"), "gate": str(tmp_path / "gate")}
    flags = ('python.modules=["climbing"]', f'python.path=["{tmp_path}"]')
    async with serving(tmp_path / "data", *flags) as client:
        job_id = await client.submit("climb", payload)
        async with client.stream(f"/api/v1/tasks/{job_id}/progress/stream", start_id="0") as stream:
            while (event := await stream.next()) is not None and event.data["percentage"] != 5:
                pass

        body = await client.get(f"/api/status/{job_id}")
        simple = await client.get(f"/api/status/{job_id}/simple")
        (tmp_path / "gate").touch()
        ended = await client.ended(job_id)

    assert (body["status"], body["progress"], simple["progress"]) == ("processing", 45, 45)
    assert ended["state"] == "completed"
