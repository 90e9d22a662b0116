"""What README tells people to type does what it says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests import serving, songs
from tests.dialects.studio import need_tools
from tests.media import File, make_video, media_server
from tests.wait import PATIENCE_S

README = (Path(__file__).parents[1] / "README.md").read_text()
OURS = Path(sys.executable).parent
"""Where the programs are that came with the package, `python` among them."""


def shell_blocks(heading: str) -> list[str]:
    (section,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


async def typed(script: str, url: str, cwd: Path | None = None, **environment: str) -> str:
    """What a shell prints that is given these lines, with our server's address in place of the usual one."""
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script.replace("localhost:8080", url.removeprefix("http://")),
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": f"{OURS}{os.pathsep}{os.environ['PATH']}", **environment},
    )
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await shell.communicate()
    assert shell.returncode == 0, out
    return out.decode()


async def test_its_download_arrives_and_is_watched(tmp_path: Path) -> None:
    film = make_video(tmp_path).read_bytes()
    async with media_server() as media, serving.process(tmp_path / "data", "downloads.allow_private=true") as server:
        url = media.add("film.mp4", File(content=film))

        said = await typed(shell_blocks("Try it")[0], server.url, MEDIA=url)

    assert "event: done" in said
    assert f'"size":{len(film)}' in said


async def test_its_song_is_taken_out_of_a_film(tmp_path: Path) -> None:
    film = make_video(tmp_path).read_bytes()
    async with media_server() as media, serving.process(tmp_path / "data", "downloads.allow_private=true") as server:
        url = media.add("film.mp4", File(content=film))

        said = await typed(shell_blocks("Downloads")[0], server.url, MEDIA=url)

    assert '"stage":"processing"' in said
    assert "event: done" in said
    assert '"name":"The_song.mp3"' in said


async def test_its_file_comes_with_a_task(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(README)
    async with serving.process(tmp_path / "data") as server:
        said = await typed(shell_blocks("Uploads")[0], server.url, cwd=tmp_path)

    assert f'"name":"README.md","size":{len(README.encode())}' in said


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed, so no song can be decoded")
async def test_its_song_is_taken_apart(tmp_path: Path) -> None:
    made = songs.song(seconds=6.0)
    song = songs.save(tmp_path / "song.wav", made.mix)
    async with serving.process(tmp_path / "data") as server:
        said = await typed(shell_blocks("Songs")[0], server.url, tmp_path, SONG=str(song))

    assert '"status":"completed"' in said
    assert '"stems":["vocals","drums","bass","other"]' in said
    assert '"deleted_files":8' in said
    assert songs.load(tmp_path / "vocals.wav")[0].shape == made.mix.shape


async def test_its_outside_work_is_reported_to_the_end(tmp_path: Path) -> None:
    async with serving.process(tmp_path / "data") as server:
        said = await typed(shell_blocks("Try it")[1], server.url)

    assert re.findall(r'"percentage":(\d+)', said) == ["42", "70", "100"] * 2
    assert said.count("event: history") == 3


async def test_its_clients_of_a_download_service_are_served(tmp_path: Path) -> None:
    film = make_video(tmp_path).read_bytes()
    async with media_server() as media, serving.process(tmp_path / "data", "downloads.allow_private=true") as server:
        url = media.add("film.mp4", File(content=film))

        said = await typed(shell_blocks("Try it")[2], server.url, cwd=tmp_path, MEDIA=url)

    assert '"title":"film"' in said
    assert '"status":"completed"' in said
    assert f'"window_bytes":{len(film)}' in said
    assert (tmp_path / "film").read_bytes() == film


async def test_its_pipeline_is_followed_to_the_end(tmp_path: Path) -> None:
    async with serving.process(tmp_path / "data") as server:
        said = await typed(shell_blocks("Try it")[3], server.url)

    assert '"percentage":100.0' in said
    assert '"again":{"message":"hello world!","count":1}' in said


async def test_its_video_is_made_and_followed_by_name(tmp_path: Path) -> None:
    need_tools()
    async with serving.process(tmp_path / "data") as server:
        said = await typed(shell_blocks("Videos")[0], server.url, cwd=tmp_path)

    told = [message["status"] for message in map(json.loads, re.findall(r"^data: (.*)$", said, re.MULTILINE))]
    assert [told[0], *told[-2:]] == ["connected", "completed", "done"]
    assert {"generating_content", "generating_scripts", "generating_audio", "composing_video"} <= set(told)
    assert (tmp_path / "tea.mp4").read_bytes()[4:8] == b"ftyp"


async def test_its_function_is_a_task_type(tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(from progresshub import Context.*?)```", README, re.DOTALL)
    (tmp_path / "chores.py").write_text(source)
    flags = ('python.modules=["chores"]', f'python.path=["{tmp_path}"]')

    async with serving.serving(tmp_path / "data", *flags) as client:
        task = await client.ended(await client.submit("resize", {"files": ["a.png", "b.png"]}))
        async with client.session.get(f"{client.url}/api/v1/tasks/{task['id']}/logs") as response:
            log = await response.text()

    assert (task["state"], task["result"]) == ("completed", 2)
    assert log == "resizing a.png to 800\nresizing b.png to 800\n"


async def test_its_script_runs_without_a_server() -> None:
    (source,) = re.findall(r"```python\n(from progresshub.report.*?)```", README, re.DOTALL)

    said = await typed(f"python - <<'END'\n{source}\nEND", "http://nowhere")

    assert said.split() == ["one", "two", "three"]


async def test_its_python_clients_submit_watch_and_wait(tmp_path: Path) -> None:
    blocking, asynchronous = re.findall(
        r"```python\n((?:import asyncio\n\n)?from progresshub.client.*?)```", README, re.DOTALL
    )

    async with serving.process(tmp_path / "data") as server:
        said = await typed(f"python - <<'END'\n{blocking}\nEND", server.url, PROGRESSHUB_URL=server.url)
        said_later = await typed(f"python - <<'END'\n{asynchronous}\nEND", server.url, PROGRESSHUB_URL=server.url)

    assert said.splitlines()[-2:] == ["completed 100.0 Step 3 of 3", "{'message': 'boxes', 'count': 3}"]
    assert said_later.split() == ["cancelled", "CANCEL_FAILED"]


async def test_its_task_is_shown_to_others(tmp_path: Path) -> None:
    async with serving.serving(tmp_path / "data") as client:
        said = await typed(shell_blocks("On other pages")[0], client.url)
        link = re.search(r'"url":"([^"]+)"', said)
        assert link is not None
        async with client.session.get(client.url + link[1], allow_redirects=False) as response:
            assert response.status == 303

    assert 'aria-label="Pack the boxes: 42 %"' in said


def test_its_page_imports_what_there_is() -> None:
    (page,) = re.findall(r"```html\n(.*?)```", README, re.DOTALL)
    module = (Path(__file__).parents[1] / "progresshub/web/static/progresshub.js").read_text()

    assert "export function watch(" in module
    assert 'customElements.define("progress-hub"' in module
    assert re.findall(r"localhost:8080(/[^\"]+)", page) == ["/progresshub.js"] * 2


async def test_its_terminal_runs_adds_reports_and_waits(tmp_path: Path) -> None:
    hub = f"{sys.executable} -m progresshub"

    async with serving.process(tmp_path / "data"):
        said = await typed(
            shell_blocks("In the terminal")[0], "http://nowhere", HUB=hub, PROGRESSHUB_DATA_DIR=str(tmp_path / "data")
        )

    lines = said.splitlines()
    assert lines[:4] == ["1/4", "2/4", "3/4", "4/4"]
    assert lines[5].split()[1:4] == ["running", "70%", "external"]
    assert lines[-1].endswith("completed 100% Pack the boxes")
