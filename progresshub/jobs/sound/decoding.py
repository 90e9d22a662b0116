"""Sound out of a file, by ffmpeg, piece by piece: no more of it is in memory than a piece.

What a file is, its content says and never its name; only the formats named here are opened, nothing
but the file itself is read, and its length is what comes out of it, whatever its header claims.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from progresshub.jobs.audio import FileInfo
from progresshub.jobs.sound.failures import Unfit

Sound = NDArray[np.float32]
"""Samples from -1 to 1, channels first."""

FORMATS = {"mp3": "mp3", "wav": "wav", "mov,mp4,m4a,3gp,3g2,mj2": "m4a", "flac": "flac"}
MIN_DURATION_S = 1.0
PIECE_S = 5.0
_CHECK_RATE_HZ = 8_000
_MOST_RATE_HZ = 384_000
_LOOK_TIMEOUT_S = 60.0
_SILENCE_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 30.0
_WORDS = 300
_GUARDED = ("-protocol_whitelist", "file,pipe", "-format_whitelist", "mp3,wav,mov,flac", "-max_alloc", "268435456")


def look(path: Path, *, max_duration_s: float, max_channels: int, on_progress: Callable[[float], None]) -> FileInfo:
    """What the song is; Unfit when it can't be worked on. `on_progress` hears the share that has been read."""
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        raise Unfit(f"the song can't be read: {os.strerror(error.errno or 0)}", "no_file") from None
    container, stream = _described(path)
    rate_hz, channels = int(stream.get("sample_rate") or 0), int(stream.get("channels") or 0)
    if not 1 <= channels <= max_channels:
        raise Unfit(f"it has {channels} channels, and {max_channels} are the most that are taken", "channels")
    if not 1 <= rate_hz <= _MOST_RATE_HZ:
        raise Unfit(f"its sample rate is {rate_hz} Hz", "sample_rate")
    claimed_s = float(container.get("duration") or 0.0) or max_duration_s
    duration_s = _length_s(path, max_duration_s, lambda done_s: on_progress(min(1.0, done_s / claimed_s)))
    return FileInfo(
        duration_s=round(duration_s, 3),
        sample_rate=rate_hz,
        channels=channels,
        format=FORMATS[container["format_name"]],
        codec=str(stream.get("codec_name", "")),
        size_bytes=size_bytes,
    )


def decode(path: Path, *, rate_hz: int, channels: int, most_s: float) -> Iterator[Sound]:
    """The sound in pieces of PIECE_S, of `most_s` at the most."""
    shape = ("-map", "0:a:0", "-vn", "-sn", "-dn", "-ac", str(channels), "-ar", str(rate_hz), "-t", f"{most_s:.3f}")
    command = ["ffmpeg", "-nostdin", "-v", "error", *_GUARDED, "-i", f"file:{path}", *shape, "-f", "f32le", "pipe:1"]
    piece_bytes = int(PIECE_S * rate_hz) * channels * 4
    with tempfile.TemporaryFile() as said:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writing, stderr=said)
            os.close(writing)
            try:
                yield from _pieces(pipe, piece_bytes, channels)
                if process.wait(_END_TIMEOUT_S):
                    raise Unfit(f"it can't be decoded: {_last_words(said)}", "undecodable")
            finally:
                process.kill()
                process.wait(_END_TIMEOUT_S)


def _described(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ffprobe says of the file and of its first audio stream."""
    wanted = ("-show_entries", "format=format_name,duration:stream=codec_name,sample_rate,channels")
    command = ["ffprobe", "-v", "error", *_GUARDED, "-select_streams", "a:0", *wanted, "-of", "json", f"file:{path}"]
    try:
        found = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LOOK_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unfit(f"it could not be looked at within {_LOOK_TIMEOUT_S:.0f} s", "unreadable") from None
    answer = json.loads(found.stdout or b"{}")
    container = answer.get("format", {})
    if found.returncode or container.get("format_name") not in FORMATS:
        raise Unfit("it is not an mp3, wav, m4a or flac file that can be read", "unsupported_format")
    streams = answer.get("streams", [])
    if not streams:
        raise Unfit("there is no sound in it", "no_sound")
    return container, streams[0]


def _length_s(path: Path, max_duration_s: float, on_progress: Callable[[float], None]) -> float:
    """By decoding all of it: headers are guesses at best, and lies at worst."""
    samples = 0
    for piece in decode(path, rate_hz=_CHECK_RATE_HZ, channels=1, most_s=max_duration_s + 1):
        samples += piece.shape[1]
        on_progress(samples / _CHECK_RATE_HZ)
    duration_s = samples / _CHECK_RATE_HZ
    if duration_s < MIN_DURATION_S:
        raise Unfit(f"it lasts {duration_s:.2f} s; {MIN_DURATION_S:g} s is the least", "too_short")
    if duration_s > max_duration_s + 0.1:
        raise Unfit(f"it lasts longer than {max_duration_s:g} s", "too_long")
    return duration_s


def _pieces(pipe: FileIO, piece_bytes: int, channels: int) -> Iterator[Sound]:
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    rest = bytearray()
    silent_at_s = time.monotonic() + _SILENCE_TIMEOUT_S
    while True:
        if not waiting.poll(1_000):
            if time.monotonic() > silent_at_s:
                raise Unfit(f"ffmpeg was silent for {_SILENCE_TIMEOUT_S:.0f} s", "undecodable")
            continue
        silent_at_s = time.monotonic() + _SILENCE_TIMEOUT_S
        data = os.read(pipe.fileno(), 1 << 20)
        rest += data
        while len(rest) >= piece_bytes or (not data and len(rest) >= 4 * channels):
            taken = min(piece_bytes, len(rest) - len(rest) % (4 * channels))
            yield _samples(rest[:taken], channels)
            del rest[:taken]
        if not data:
            return


def _samples(data: bytearray, channels: int) -> Sound:
    """What is no number, as in a broken file of floats, is silence."""
    samples = np.frombuffer(bytes(data), "<f4").reshape(-1, channels).T
    sound: Sound = np.clip(np.nan_to_num(samples, nan=0.0), -1.0, 1.0).astype(np.float32)
    return sound


def _last_words(said: IO[bytes]) -> str:
    said.seek(0)
    words = said.read(65_536).decode(errors="replace").strip().rpartition("\n")[2]
    return words.rpartition("] ")[2][:_WORDS] or "ffmpeg did not say why"
