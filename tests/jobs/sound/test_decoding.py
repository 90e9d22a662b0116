"""What comes in is judged by its content; what lies, or leads elsewhere, is refused."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from progresshub.jobs.sound import decoding
from progresshub.jobs.sound.decoding import PIECE_S, decode, look
from progresshub.jobs.sound.failures import Unfit
from tests.songs import save, song

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    return save(tmp_path_factory.mktemp("songs") / "song.wav", song(120, 3, rate_hz=22_050).mix, 22_050)


def encoded(wav, path, *options):
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", wav, *options, path], check=True, timeout=60)
    return path


def looked(path, max_duration_s=60.0, max_channels=8):
    return look(path, max_duration_s=max_duration_s, max_channels=max_channels, on_progress=lambda share: None)


def why(path, **limits):
    with pytest.raises(Unfit) as unfit:
        looked(path, **limits)
    assert not unfit.value.retry
    return unfit.value.error_type, str(unfit.value)


def header(data_bytes, riff_bytes=None, *, channels=2, rate_hz=22_050, tag=1, bits=16):
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * width, width, bits)
    size = data_bytes + 36 if riff_bytes is None else riff_bytes
    chunks = b"RIFF", struct.pack("<I", size), b"WAVEfmt ", struct.pack("<I", 16), form, b"data"
    return b"".join((*chunks, struct.pack("<I", data_bytes)))


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("song.mp3", (), ("mp3", "mp3")),
        ("song.m4a", ("-c:a", "aac"), ("m4a", "aac")),
        ("song.flac", (), ("flac", "flac")),
        ("song.wav", ("-c:a", "pcm_s24le"), ("wav", "pcm_s24le")),
        ("song.wav", ("-ac", "1", "-ar", "8000"), ("wav", "pcm_s16le")),
    ],
)
def test_every_format_that_is_offered_can_be_read(wav, tmp_path, name, options, known):
    path = encoded(wav, tmp_path / name, *options)

    info = looked(path)

    assert (info.format, info.codec) == known
    assert info.duration_s == pytest.approx(3, abs=0.1)
    assert info.size_bytes == path.stat().st_size


def test_the_name_says_nothing(wav, tmp_path):
    path = shutil.copy(wav, tmp_path / "song.m3u8")

    assert looked(path).format == "wav"


def test_reading_tells_how_far_it_is(wav):
    heard: list[float] = []

    look(wav, max_duration_s=60, max_channels=8, on_progress=heard.append)

    assert heard
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    "content",
    [b"", b"no song at all\n" * 100, b"ID3\x04" + bytes(200), b"RIFF\x00\x00\x00\x00WAVE", bytes(5_000), header(0)],
)
def test_what_is_no_song_is_told_from_one(tmp_path, content):
    path = tmp_path / "song.mp3"
    path.write_bytes(content)

    assert why(path)[0] in {"unsupported_format", "undecodable", "too_short", "channels"}


def test_other_formats_are_refused(wav, tmp_path):
    path = encoded(wav, tmp_path / "song.ogg", "-c:a", "libvorbis").rename(tmp_path / "song.mp3")

    assert why(path) == ("unsupported_format", "it is not an mp3, wav, m4a or flac file that can be read")


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{song}\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{song}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{song}'\n",
    ],
)
def test_a_playlist_leads_nowhere(wav, tmp_path, playlist):
    path = tmp_path / "song.mp3"
    path.write_text(playlist.format(song=wav))

    assert why(path)[0] == "unsupported_format"


def test_a_header_that_claims_four_gigabytes_is_not_believed(tmp_path):
    sound = (np.sin(np.arange(2 * 2 * 22_050) / 20) * 9_000).astype("<i2").tobytes()
    path = tmp_path / "song.wav"
    path.write_bytes(header(0xFFFFFFF0, 0xFFFFFFFF) + sound)

    assert looked(path).duration_s == pytest.approx(2, abs=0.01)


def test_what_is_broken_in_the_middle_is_read_as_far_as_it_goes(wav, tmp_path):
    mp3 = encoded(wav, tmp_path / "song.mp3").read_bytes()
    path = tmp_path / "broken.mp3"
    path.write_bytes(mp3[: len(mp3) // 2] + bytes(3_000) + mp3[len(mp3) * 3 // 4 :])

    assert 1.5 < looked(path).duration_s < 3.2


def test_numbers_that_are_none_become_silence(tmp_path):
    floats = np.tile(np.array([np.nan, np.inf, -np.inf, 5.0, 0.25], "<f4"), 8_000)
    path = tmp_path / "song.wav"
    path.write_bytes(header(len(floats) * 4, channels=1, rate_hz=20_000, tag=3, bits=32) + floats.tobytes())

    (piece,) = decode(path, rate_hz=20_000, channels=1, most_s=10)

    assert np.isfinite(piece).all()
    assert np.abs(piece).max() <= 1


def test_too_short_and_too_long_are_refused(wav, tmp_path):
    short = encoded(wav, tmp_path / "short.wav", "-t", "0.5")

    assert why(short) == ("too_short", "it lasts 0.50 s; 1 s is the least")
    assert why(wav, max_duration_s=2.0) == ("too_long", "it lasts longer than 2 s")


def test_too_many_channels_are_refused(wav, tmp_path):
    many = encoded(wav, tmp_path / "many.wav", "-ac", "6")

    assert looked(many).channels == 6
    assert why(many, max_channels=2)[0] == "channels"


def test_what_is_not_there_is_told(tmp_path):
    assert why(tmp_path / "song.wav") == ("no_file", "the song can't be read: No such file or directory")


def test_sound_comes_in_pieces_and_ends_where_it_is_told_to(wav, monkeypatch):
    monkeypatch.setattr(decoding, "PIECE_S", PIECE_S / 5)

    pieces = list(decode(wav, rate_hz=8_000, channels=2, most_s=2.5))

    assert [piece.shape for piece in pieces] == [(2, 8_000), (2, 8_000), (2, 4_000)]


def children():
    """The processes that this one started and has not reaped yet."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_no_process_is_left_when_nobody_wants_the_rest(wav):
    before = children()
    pieces = decode(wav, rate_hz=44_100, channels=2, most_s=60)

    next(pieces)
    during = children()
    del pieces

    assert during > before
    assert children() == before
