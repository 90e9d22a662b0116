import subprocess
import sys

import pytest

from progresshub.errors import InvalidPayload, Unavailable
from progresshub.jobs import audio
from progresshub.kinds import Call, Lane
from progresshub.settings import Audio, Config, Misfit
from tests import make

KIND = audio.kind(Audio(roots=("/music", "/more/music")))


@pytest.fixture(autouse=True)
def complete(monkeypatch):
    """A machine that has all that songs need, whatever this one has."""
    monkeypatch.setattr(audio, "missing", lambda: "")


def test_the_defaults_are_filled_in():
    assert KIND.check({"file": "espresso.mp3"}) == {
        "file": "espresso.mp3",
        "path": None,
        "name": None,
        "enable_beat_tracking": True,
        "enable_vocals_extraction": True,
        "language": None,
        "whisper_model": None,
        "demucs_model": None,
        "audio_sample_rate": None,
    }


def test_a_song_gets_a_process_of_its_own_and_a_place_in_the_line_of_songs():
    kind = audio.kind(Audio(at_once=3, max_channels=2))
    payload = kind.check({"file": "espresso.mp3", "language": "en"})

    launch = kind.launch(make.task(kind="audio", payload=payload))

    assert isinstance(launch, Call)
    assert (launch.pool, launch.fresh) == ("audio", True)
    assert launch.arguments["song"] == payload
    assert launch.arguments["settings"]["max_channels"] == 2
    assert kind.lane_of is not None
    assert kind.lane_of(payload) == Lane("audio", 3)


@pytest.mark.parametrize("path", ["/music/song.mp3", "/more/music/a/b.flac"])
def test_a_file_below_a_root_may_be_named_by_its_path(path):
    assert KIND.check({"path": path})["path"] == path


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "give either file or path"),
        ({"file": "a.mp3", "path": "/music/a.mp3"}, "give either file or path"),
        ({"file": "../a.mp3"}, "file"),
        ({"file": "a/b.mp3"}, "file"),
        ({"file": ".hidden"}, "file"),
        ({"file": ""}, "file"),
        ({"path": "music/a.mp3"}, "path"),
        ({"path": "/etc/passwd"}, "below none of audio.roots"),
        ({"path": "/musical/a.mp3"}, "below none of audio.roots"),
        ({"path": "/music/../etc/passwd"}, "without . and .."),
        ({"path": "/music//a.mp3"}, "without . and .."),
        ({"file": "a.mp3", "audio_sample_rate": 96_000}, "audio_sample_rate"),
        ({"file": "a.mp3", "demucs_model": "../x"}, "demucs_model"),
        ({"file": "a.mp3", "whisper_model": "../x"}, "whisper_model"),
        ({"file": "a.mp3", "whisper_model": ".."}, "whisper_model"),
        ({"file": "a.mp3", "language": "English"}, "language"),
        ({"file": "a.mp3", "karaoke": True}, "there is no field karaoke"),
    ],
)
def test_what_makes_no_sense_is_refused(payload, reason):
    with pytest.raises(InvalidPayload) as refused:
        KIND.check(payload)

    assert reason in refused.value.message


def test_nothing_is_found_by_path_unless_the_settings_name_a_place():
    with pytest.raises(InvalidPayload, match=r"below none of audio\.roots"):
        audio.kind(Audio()).check({"path": "/music/a.mp3"})


@pytest.mark.parametrize(
    ("song", "name"),
    [
        ({"name": "Espresso.mp3", "file": "upload"}, "Espresso"),
        ({"name": None, "file": "a song.flac"}, "a song"),
        ({"name": None, "file": None, "path": "/music/x/deep.wav"}, "deep"),
        ({"name": "../../etc/passwd"}, "passwd"),
        ({"name": "C:\\music\\song.wav"}, "song"),
        ({"name": "what? \x00 <why>.mp3"}, "what_ _ _why"),
        ({"name": "..."}, "song"),
        ({"name": "Ein Lied für Ümit.mp3"}, "Ein Lied für Ümit"),
        ({"name": "x" * 255}, "x" * 100),
    ],
)
def test_files_are_named_after_what_the_song_was_called(song, name):
    assert audio.output_name(song) == name


def test_the_title_is_the_name_without_its_path():
    assert KIND.title(KIND.check({"file": "upload", "name": "Espresso.mp3"})) == "Espresso.mp3"
    assert KIND.title(KIND.check({"path": "/music/x/deep.wav"})) == "deep.wav"


def test_what_is_not_installed_is_told_once_the_payload_is_right(monkeypatch):
    monkeypatch.setattr(audio, "missing", lambda: "pip install it")

    with pytest.raises(InvalidPayload):
        KIND.check({})
    with pytest.raises(Unavailable, match="Not just now: pip install it"):
        KIND.check({"file": "a.mp3"})


def test_a_root_that_is_not_absolute_is_a_mistake():
    with pytest.raises(Misfit, match="absolute"):
        Audio(roots=("music",))


def test_the_server_imports_nothing_that_computes():
    program = (
        "import sys; from progresshub.jobs.builtin import builtin_kinds; from progresshub.settings import Config;"
        "assert 'audio' in builtin_kinds(Config());"
        "print(*{'numpy', 'scipy', 'torch', 'demucs', 'faster_whisper'} & {n.partition('.')[0] for n in sys.modules})"
    )

    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)

    assert child.stdout.strip() == ""


def test_its_files_are_kept_for_a_day():
    assert audio.kind(Config().audio).retention_ms == 86_400_000
