"""Songs as tasks of a running server: what comes of them, how far they are, and why they fail."""

import shutil

import msgspec
import numpy as np
import pytest
import pytest_asyncio

from progresshub.jobs import audio
from progresshub.jobs.audio import STEMS, STEPS, SongResult
from tests.serving import command_file, serving
from tests.songs import load, save, sdr_db, song

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed"),
]

KNOWN = song(120, 10, rate_hz=22_050, seed=41)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    folder = tmp_path_factory.mktemp("music")
    save(folder / "song.wav", KNOWN.mix, 22_050)
    save(folder / "long.wav", np.tile(KNOWN.mix, 6), 22_050)
    save(folder / "silence.wav", np.zeros((2, 5 * 8_000), np.float32), 8_000)
    (folder / "broken.mp3").write_bytes(b"RIFF" + bytes(5_000))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def hub(music, data):
    copy = f"import shutil; shutil.copy({str(music / 'song.wav')!r}, 'song.wav')"
    flags = (f'audio.roots=["{music}"]', "audio.min_free_bytes=0")
    async with serving(data, *flags, file=command_file(data, fetch=copy)) as client:
        yield client


async def ended(hub, **payload):
    return await hub.ended(await hub.submit("audio", payload))


def step(task, name):
    return next(one for one in task["steps"] if one["name"] == name)


async def test_a_song_becomes_stems_and_beats(hub, music, data):
    task = await ended(hub, path=str(music / "song.wav"), name="Espresso.wav")

    assert task["state"] == "completed", task
    result = msgspec.convert(task["result"], SongResult)
    assert result.engine == "builtin"
    assert result.beat_analysis.tempo_bpm == pytest.approx(120, rel=0.02)
    assert result.file_info.duration_s == pytest.approx(10, abs=0.01)
    assert result.transcription.skipped
    files = await hub.get(f"/api/v1/tasks/{task['id']}/files")
    assert {file["name"] for file in files["files"]} == set(result.output_files)
    folder = data / "files" / task["id"]
    stems = {name: load(folder / f"Espresso_{name}.wav")[0] for name in STEMS}
    whole = np.sum(list(stems.values()), axis=0)
    assert sdr_db(KNOWN.mix, whole / 2**23) > 60
    for name, stem in KNOWN.stems.items():
        assert sdr_db(stem, stems[name] / 2**23) > sdr_db(stem, KNOWN.mix / 4), name
    beats = msgspec.json.decode((folder / "Espresso_beats.json").read_bytes())
    assert len(beats["beats"]) == len(beats["beat_grid"]) == result.beat_analysis.beat_count
    assert beats["beat_grid"][0].keys() == {"time", "beat", "bar"}


async def test_its_steps_advance_block_by_block_and_the_whole_never_goes_back(hub, music):
    task_id = await hub.submit("audio", {"path": str(music / "long.wav")})
    async with hub.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
        events = [event.data for event in await stream.rest() if event.name == "progress"]

    percents = [event["percentage"] for event in events if event.get("percentage") is not None]
    assert percents == sorted(percents)
    assert len(set(percents)) > 6
    task = await hub.task(task_id)
    assert [one["name"] for one in task["steps"]] == list(STEPS)
    assert [one["state"] for one in task["steps"]] == ["completed", "completed", "skipped", "completed"]
    assert step(task, "transcription")["result"] == {"skipped": True, "reason": "audio.whisper_models is not set"}
    assert step(task, "beat_analysis")["result"]["tempo_bpm"] == pytest.approx(120, rel=0.02)


async def test_what_is_not_asked_for_is_skipped(hub, music):
    task = await ended(hub, path=str(music / "song.wav"), enable_vocals_extraction=False, enable_beat_tracking=False)

    assert task["state"] == "completed"
    assert task["result"]["stem_separation"] == {"skipped": True, "reason": "it was not asked for"}
    assert step(task, "beat_analysis")["state"] == "skipped"
    assert task["result"]["output_files"] == []
    assert list(task["result"]["processing_s"]) == ["validation"]


async def test_the_rate_of_the_stems_may_be_chosen(hub, music, data):
    task = await ended(hub, path=str(music / "song.wav"), audio_sample_rate=8_000, enable_beat_tracking=False)

    samples, rate_hz = load(data / "files" / task["id"] / "song_vocals.wav")
    assert rate_hz == 8_000
    assert samples.shape == (2, 80_000)


async def test_a_song_may_come_from_an_earlier_step_of_a_pipeline(hub):
    steps = [
        {"name": "fetch", "type": "command", "payload": {"name": "fetch"}},
        {"name": "listen", "type": "audio", "payload": {"file": "song.wav", "enable_vocals_extraction": False}},
    ]

    task = await hub.ended(await hub.submit("pipeline", {"steps": steps}))

    assert task["state"] == "completed", task
    assert task["result"]["listen"]["beat_analysis"]["tempo_bpm"] == pytest.approx(120, rel=0.02)


@pytest.mark.parametrize(
    ("name", "failure"),
    [
        ("broken.mp3", ("unsupported_format", "it is not an mp3, wav, m4a or flac file that can be read")),
        ("nothing.mp3", ("no_file", "there is no file")),
        ("outside.wav", ("no_file", "there is no file")),
    ],
)
async def test_what_is_no_song_fails_once_in_the_first_step(hub, music, tmp_path, name, failure):
    type_, message = failure
    if name == "outside.wav" and not (music / name).is_symlink():
        (music / name).symlink_to(save(tmp_path / "song.wav", KNOWN.mix, 22_050))

    task = await ended(hub, path=str(music / name))

    assert task["state"] == "archived"
    assert task["error"]["type"] == type_
    assert message in task["last_err"]
    assert task["attempt"] == 1
    assert [one["state"] for one in task["steps"]] == ["failed", "waiting", "waiting", "waiting"]
    assert message in step(task, "validation")["error"]


async def test_a_song_without_a_beat_is_still_a_song(hub, music):
    task = await ended(hub, path=str(music / "silence.wav"))

    assert task["state"] == "completed"
    assert task["result"]["beat_analysis"] == {"error": "it is silent"}
    assert step(task, "beat_analysis")["state"] == "failed"
    assert len(task["result"]["output_files"]) == 4


async def test_a_song_that_is_called_off_leaves_no_half_stems(hub, music, data):
    task_id = await hub.submit("audio", {"path": str(music / "long.wav")})
    async with hub.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
        while (event := await stream.next()) is not None and event.data.get("stage") != "stem_separation":
            pass
        await hub.post(f"/api/v1/tasks/{task_id}/cancel")
        await stream.rest()

    assert (await hub.task(task_id))["state"] == "archived"
    folder = data / "files" / task_id
    assert not folder.exists() or list(folder.iterdir()) == []


async def test_an_engine_that_is_demanded_and_not_there_is_told(music, tmp_path):
    flags = (f'audio.roots=["{music}"]', "audio.engine=demucs", "audio.min_free_bytes=0")
    async with serving(tmp_path, *flags) as hub:
        task = await ended(hub, path=str(music / "song.wav"))

    assert task["error"]["type"] == "engine"
    assert "audio.demucs_models is not set" in task["last_err"]


async def test_without_what_it_needs_only_songs_are_refused(hub, music, monkeypatch):
    monkeypatch.setattr(audio, "missing", lambda: "pip install 'progresshub[audio]'")

    status, body = await hub.ask(
        "POST", "/api/v1/tasks", json={"type": "audio", "payload": {"path": str(music / "song.wav")}}
    )

    assert (status, body["code"]) == (503, "UNAVAILABLE")
    assert "progresshub[audio]" in body["error"]
    assert (await hub.ended(await hub.submit("demo", {"count": 0})))["state"] == "completed"
