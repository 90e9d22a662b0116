"""The main job, end to end: a real server process, a real file over loopback, yt-dlp, and SSE to its end."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests import serving
from tests.media import File, Gate, make_video, media_server

SMOOTH = ("downloads.allow_private=true", "downloads.buffer_bytes=16384", "downloads.reports_per_s=100.0")


async def test_a_film_is_downloaded_and_watched_from_the_first_byte_to_the_last(tmp_path: Path) -> None:
    film = make_video(tmp_path).read_bytes() * 40
    gate = Gate()
    async with (
        media_server() as media,
        serving.process(tmp_path / "data", *SMOOTH) as server,
        serving.client(server.url) as client,
    ):
        url = media.add("film.mp4", File(content=film, gate=gate))

        task_id = await client.submit("download", {"url": url, "format": "best"})
        entries: list[serving.Event] = []
        async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            for share in (0.25, 0.5, 0.75, 1.0):
                await gate.open(int(share * len(film)) + 1)
                while share < 1.0 and (event := await stream.next()) is not None:
                    entries.append(event)
                    if event.data["percentage"] >= 100 * share - 15:
                        break
            entries += await stream.rest()

        *reports, final, done = entries
        percentages = [event.data["percentage"] for event in [*reports, final]]
        assert percentages == sorted(percentages)
        assert len(set(percentages)) >= 4
        assert {event.data["stage"] for event in reports} >= {"extracting", "downloading"}
        assert any(event.data.get("speed_bps") for event in reports)
        assert (final.name, final.data["percentage"], final.data["stage"]) == ("progress", 100, "completed")
        assert (done.name, done.data) == ("done", {"task_id": task_id, "status": "completed"})

        task = await client.task(task_id)
        (file,) = (await client.get(f"/api/v1/tasks/{task_id}/files"))["files"]
        async with client.session.get(client.url + file["url"]) as response:
            got = await response.read()
        assert hashlib.sha256(got).digest() == hashlib.sha256(film).digest()
        assert (task["result"]["size_bytes"], task["result"]["path"]) == (len(film), file["name"])
