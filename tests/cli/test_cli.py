"""The command line as its users meet it: real processes, their output and their exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import aiohttp
import pytest

from tests import serving
from tests.shell import run

ROOT = Path(__file__).parents[2]


async def test_the_default_settings_are_those_of_the_file() -> None:
    code, out, _ = await run("config", "--default")

    assert code == 0
    assert out == (ROOT / "config.toml").read_text()


async def test_settings_are_shown_with_where_they_came_from(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[server]\nport = 1\nhost = '127.0.0.2'\n[scheduler]\nslots = 3\n")

    code, out, _ = await run("config", "--config", str(file), "--set", "server.port=3", PROGRESSHUB_PORT="2")

    assert code == 0
    shown = {line.split()[0]: line for line in out.splitlines() if line}
    assert "3" in shown["server.port"]
    assert "mine.toml" in shown["scheduler.slots"]


async def test_settings_are_shown_to_programs(tmp_path: Path) -> None:
    code, out, _ = await run("config", "--json", "--set", "server.port=3", "--set", f"server.data_dir={tmp_path}")

    assert code == 0
    shown = json.loads(out)
    assert shown["server.port"] == {"value": 3, "source": "--set"}
    assert shown["server.listen"] == {"value": [], "source": "default"}


async def test_a_word_that_is_no_verb_is_not_understood() -> None:
    code, out, err = await run("lss")

    assert (code, out) == (2, "")
    assert "invalid choice: 'lss'" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "server.prot=80"), "server.port"),
        (("--port", "eighty"), "server.port"),
        (("--config", "/nowhere/at/all.toml"), "/nowhere/at/all.toml"),
        (("--host", "0.0.0.0"), "token"),
        (("--data-dir", "/proc/nobody/may"), "/proc/nobody/may"),
    ],
)
async def test_a_server_that_can_not_start_says_why_in_one_line(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    code, out, err = await run("--data-dir", str(tmp_path / "data"), "--port", "0", *words)

    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert said in err


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    async with serving.process(tmp_path / "one") as server:
        port = server.url.rpartition(":")[2]

        code, _, err = await run("--data-dir", str(tmp_path / "two"), "--port", port)

    assert code == 1
    assert f"127.0.0.1:{port}" in err
    assert err.count("\n") == 1


async def test_tokens_are_made_listed_and_revoked(tmp_path: Path) -> None:
    data = str(tmp_path / "data")

    code, token, _ = await run("token", "add", "phone", "--scope", "read", "--data-dir", data)
    assert code == 0
    assert len(token.strip()) >= 43
    assert (await run("token", "ls", "--data-dir", data))[1] == "phone\tread\n"
    assert (await run("token", "rm", "phone", "--data-dir", data))[0] == 0
    assert (await run("token", "ls", "--data-dir", data))[1] == ""
    assert (await run("token", "rm", "phone", "--data-dir", data))[0] == 1
    assert (await run("token", "add", "--data-dir", data))[0] == 2


async def test_a_server_listens_on_several_addresses(tmp_path: Path) -> None:
    unix = tmp_path / "hub.sock"
    listen = f'server.listen=["127.0.0.1:0", "127.0.0.1:0", "unix:{unix}"]'

    async with serving.process(tmp_path / "data", listen) as server:
        urls = [word for word in server.line.split() if word.startswith("http://")]
        for url in urls:
            async with serving.client(url) as client:
                assert await client.get("/live") == {"status": "alive"}
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(unix))) as session:
            assert (await session.get("http://localhost/live")).status == 200

    assert len(urls) == 2


async def test_the_start_line_says_where_everything_is(tmp_path: Path) -> None:
    async with serving.process(tmp_path / "data") as server:
        assert str(tmp_path / "data") in server.line
        assert "auth open on loopback" in server.line
        assert "commands none named" in server.line


async def test_the_demo_says_why_a_server_does_not_fetch_its_film(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving.process(data):
        code, out, err = await run("demo", "--data-dir", str(data))

    assert code == 0, out + err
    assert "downloads.allow_private=true" in err


@pytest.mark.parametrize("is_running", [True, False])
async def test_the_demo_shows_a_task_of_every_kind_to_its_end(tmp_path: Path, is_running: bool) -> None:
    data = tmp_path / "data"
    kinds = ["demo", "download", "command", "external", *(["pipeline"] if shutil.which("ffmpeg") else [])]
    if is_running:
        async with (
            serving.process(data, "downloads.allow_private=true") as server,
            serving.client(server.url) as client,
        ):
            code, out, err = await run("demo", "--data-dir", str(data))
            tasks = (await client.get("/api/v1/tasks"))["tasks"]
        assert {task["type"] for task in tasks} == set(kinds)
    else:
        code, out, err = await run("demo", "--data-dir", str(data))

    assert code == 0, out + err
    for kind in kinds:
        (last,) = [line for line in out.splitlines() if f"{kind}:" in line][-1:]
        assert last.startswith("100%"), out
