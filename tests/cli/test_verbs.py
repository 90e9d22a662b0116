"""The verbs that speak to a server: what they print, what they say besides, and how they exit."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from progresshub import __version__
from tests import serving, shell
from tests.media import File, media_server
from tests.serving import Client
from tests.shell import Said
from tests.wait import PATIENCE_S

FUTURE = "2999-01-01T00:00:00Z"
STATE = "import os, sys; print(os.getcwd(), os.environ['WHO'], sys.argv[1:])"


class Hub:
    """A server, and the command line that finds it."""

    def __init__(self, client: Client, data: Path) -> None:
        self.client = client
        self.data = data

    async def typed(self, *words: str, **environment: str) -> Said:
        return await shell.run(*words, PROGRESSHUB_DATA_DIR=str(self.data), **environment)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    data = tmp_path / "data"
    async with serving.serving(data) as client:
        yield Hub(client, data)


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[Hub]:
    """One that has children of its own, and so a process of its own."""
    data = tmp_path / "data"
    allowed = "downloads.allow_private=true"
    async with serving.process(data, allowed) as server, serving.client(server.url) as client:
        yield Hub(client, data)


async def test_a_command_passes_its_exit_code(busy: Hub) -> None:
    commands = {
        ("run", "--", "true"): 0,
        ("run", "sh", "-c", "exit 4$#", "sh", "--", "-d"): 42,
        ("run", "--", "sh", "-c", "exit 7"): 7,
        ("run", "--", "sh", "-c", "kill -KILL $$"): 137,
        ("run", "--", "no-such-program"): 127,
        ("run", "--timeout", "200ms", "--", "sleep", "60"): 124,
        ("run",): 2,
    }

    said = await asyncio.gather(*(busy.typed(*words) for words in commands))

    assert dict(zip(commands, (one.code for one in said), strict=True)) == commands
    assert "no-such-program" in said[list(commands.values()).index(127)].err


async def test_a_command_prints_here_and_the_bar_goes_besides(busy: Hub, tmp_path: Path) -> None:
    words = ("run", "--env", "WHO=me", "-C", str(tmp_path), "--", sys.executable, "-c", STATE, "--json", "--", "-q")

    loud, quiet = await asyncio.gather(busy.typed(*words), busy.typed("run", "-q", *words[1:]))

    assert loud.out == quiet.out == f"{tmp_path} me ['--json', '--', '-q']\n"
    assert "completed 100%" in loud.err
    assert quiet.err == ""


async def test_a_command_is_left_to_the_server(busy: Hub) -> None:
    detached = await busy.typed("run", "-d", "--title", "Later", "--queue", "low", "--", "true")

    task = await busy.client.ended(detached.out.strip())
    assert (task["title"], task["queue"], task["state"], task["max_retry"]) == ("Later", "low", "completed", 0)
    assert detached.out.strip()[:8] in detached.err


async def test_a_download_is_watched_and_brought_here(busy: Hub, tmp_path: Path) -> None:
    content = os.urandom(50_000)
    async with media_server() as media:
        url = media.add("film.mp4", File(content=content))
        said = await busy.typed("get", url, f"{media.base}/missing.mp4", "-f", "best", "-o", str(tmp_path / "here"))

    assert (said.code, said.out) == (1, f"{tmp_path}/here/film.mp4\n")
    assert (tmp_path / "here" / "film.mp4").read_bytes() == content
    assert "failed" in said.err


async def test_values_of_a_payload_are_json_or_else_text(busy: Hub) -> None:
    added = await busy.typed("add", "demo", "count=3", "message=three 'words", "delay_ms=0", "--priority", "4", "-q")
    quoted = await busy.typed("add", "external", 'title="42"')
    refused = await busy.typed("add", "demo", "count=many")
    unreadable = await busy.typed("add", "demo", "count")

    task = await busy.client.task(added.out.strip())
    assert task["payload"] == {"count": 3, "message": "three 'words", "delay_ms": 0}
    assert (task["priority"], added.err) == (4, "")
    assert (await busy.client.task(quoted.out.strip()))["title"] == "42"
    assert (refused.code, refused.out) == (1, "")
    assert "count" in refused.err
    assert (unreadable.code, unreadable.err) == (1, "progresshub: 'count' is not key=value\n")


async def test_a_task_that_is_added_can_be_watched_at_once(busy: Hub) -> None:
    said = await busy.typed("add", "demo", "count=2", "delay_ms=1", "--watch")

    assert said.code == 0
    assert said.err.splitlines()[-1] == f"{said.out[:8]} completed 100% Demo"


async def test_tasks_are_listed_for_people_and_for_programs(hub: Hub) -> None:
    first = await hub.client.submit("external", {"title": "Ein\x9b2J \u202eTitel\n日本"}, queue="low")
    second = await hub.client.submit("external")
    await hub.client.report(first, percent=42)
    await hub.client.report(second, status="failed", error="no wind")

    table, ids, narrowed, as_json, nothing = await asyncio.gather(
        hub.typed("ls"),
        hub.typed("ls", "-q"),
        hub.typed("ls", "-q", "--state", "failed"),
        hub.typed("ls", "--json", "--queue", "low"),
        hub.typed("ls", "--kind", "demo"),
    )

    assert [line.split()[:2] for line in table.out.splitlines()] == [
        ["ID", "STATE"],
        [second[:8], "failed"],
        [first[:8], "running"],
    ]
    assert table.out.splitlines()[2].split()[2:5] == ["42%", "external", "low"]
    assert table.out.endswith("Ein2J Titel 日本\n")
    assert ids.out == f"{second}\n{first}\n"
    assert narrowed.out == f"{second}\n"
    (task,) = json.loads(as_json.out)
    assert (task["id"], task["status"], task["percent"], task["type"]) == (first, "running", 42.0, "external")
    assert (nothing.out, nothing.code) == ("", 0)


async def test_tasks_are_shown_by_the_beginning_of_their_ids(hub: Hub) -> None:
    task_id = await hub.client.submit("external", {"title": "Boxes"})
    await hub.client.report(task_id, status="failed", error="no wind")

    shown, as_json, unknown = await asyncio.gather(
        hub.typed("show", task_id[:13]), hub.typed("show", "--json", task_id), hub.typed("show", "nothing", task_id)
    )

    assert f"id        {task_id}" in shown.out
    assert "error     reported: no wind" in shown.out
    assert json.loads(as_json.out)[0]["status"] == "failed"
    assert (unknown.code, unknown.err) == (1, "progresshub: There is no task nothing.\n")
    assert unknown.out.startswith(f"id        {task_id}")


async def test_what_a_task_printed_is_printed(busy: Hub) -> None:
    lines = "printf 'one\\n\\377two\\nthree'"
    task_id = (await busy.typed("run", "-d", "-q", "--", "sh", "-c", lines)).out.strip()

    followed = await busy.typed("logs", "-f", task_id)
    tail, as_json = await asyncio.gather(busy.typed("logs", "-n", "1", task_id), busy.typed("logs", "--json", task_id))

    assert followed.out.splitlines()[::2] == ["one", "three"]
    assert tail.out == "three"
    assert [json.loads(line) for line in as_json.out.splitlines()] == [
        {"line": "one"},
        {"line": "\ufffdtwo"},
        {"line": "three"},
    ]


async def test_waiting_ends_with_the_tasks_or_with_the_time(hub: Hub) -> None:
    ids = [await hub.client.submit("external") for _ in range(3)]
    await hub.client.report(ids[0], status="done")
    await hub.client.report(ids[1], status="failed")

    good, bad, late, badly_said = await asyncio.gather(
        hub.typed("wait", "-q", ids[0]),
        hub.typed("wait", "--json", ids[0], ids[1]),
        hub.typed("wait", "--timeout", "100ms", ids[2]),
        hub.typed("wait", "--timeout", "soon", ids[2]),
    )

    assert (good.code, good.out) == (0, f"{ids[0]}\n")
    assert (bad.code, [task["status"] for task in json.loads(bad.out)]) == (1, ["completed", "failed"])
    assert (late.code, late.err) == (124, "progresshub: not over after 100ms\n")
    assert (badly_said.code, badly_said.out) == (1, "")


async def test_tasks_are_cancelled_done_over_and_forgotten(hub: Hub) -> None:
    first, second = [await hub.client.submit("external") for _ in range(2)]

    cancelled = await hub.typed("cancel", first, second[:13])
    again = await hub.typed("cancel", "-q", first, second)
    retried = await hub.typed("retry", "-q", first)
    removed = await hub.typed("rm", first)

    assert (cancelled.code, cancelled.out) == (0, f"{first}\n{second}\n")
    assert (again.code, again.out, again.err.count("\n")) == (1, "", 2)
    assert (await hub.client.task(retried.out.strip()))["retry_of"] == first
    assert removed.code == 0
    assert (await hub.client.ask("GET", f"/api/v1/tasks/{first}"))[0] == 404


async def test_queues_are_listed_paused_and_set(hub: Hub) -> None:
    paused = await hub.typed("queue", "pause", "low")
    changed = await hub.typed("queue", "set", "low", "--slots", "3", "--weight", "9")
    listed, as_json, names, unknown, nothing = await asyncio.gather(
        hub.typed("queue", "ls"),
        hub.typed("queue", "ls", "--json"),
        hub.typed("queue", "ls", "-q"),
        hub.typed("queue", "pause", "nowhere"),
        hub.typed("queue", "set", "low"),
    )
    resumed = await hub.typed("queue", "resume", "low")

    assert [one.code for one in (paused, changed, resumed, unknown, nothing)] == [0, 0, 0, 1, 2]
    assert ["low", "0", "0", "0", "0", "0", "0", "3", "9", "paused"] in [
        line.split() for line in listed.out.splitlines()
    ]
    (low,) = [queue for queue in json.loads(as_json.out) if queue["queue"] == "low"]
    assert (low["paused"], low["slots"], low["weight"]) == (True, 3, 9)
    assert "low" in names.out.split()
    assert "low is open" in resumed.err


async def test_outside_work_is_reported(hub: Hub) -> None:
    task_id = await hub.client.submit("external")

    first = await hub.typed("report", task_id[:13], "3/10", "-m", "three boxes", "--stage", "packing")
    task = await hub.client.task(task_id)
    badly = await hub.typed("report", task_id)
    last = await hub.typed("report", task_id, "done")

    assert [first.code, badly.code, last.code] == [0, 2, 0]
    progress = task["progress"]
    assert (progress["percentage"], progress["message"], progress["stage"]) == (30, "three boxes", "packing")
    assert (await hub.client.task(task_id))["state"] == "completed"


async def test_a_pipe_gets_a_line_for_every_tenth_and_each_state(hub: Hub) -> None:
    task_id = await hub.client.submit("external", {"title": "Boxes"})
    ask = ("watch", task_id, "--data-dir", str(hub.data))
    async with shell.started(*ask) as watching, shell.started(*ask, "--json") as as_json:
        first, first_as_json = await watching.line(), await as_json.line()
        for percent in (1, 9, 11, 12, 35, 36):
            await hub.client.report(task_id, percent=percent)
        await hub.client.report(task_id, status="done")
        said, told = await watching.rest(), await as_json.rest()

    assert first == f"{task_id[:8]} running Boxes"
    assert said == [f"{task_id[:8]} {told} Boxes" for told in ("running 11%", "running 35%", "completed 100%")]
    assert [json.loads(line)["percent"] for line in (first_as_json, *told)] == [None, 1, 9, 11, 12, 35, 36, 100]


async def test_nothing_to_watch_is_told(hub: Hub) -> None:
    said = await hub.typed("watch")

    assert (said.code, said.out, said.err) == (0, "", "progresshub: nothing is going on\n")


async def test_a_reader_that_goes_away_is_no_error(hub: Hub) -> None:
    await hub.client.submit("external")
    line = f"{sys.executable} -m progresshub ls | true; echo ${{PIPESTATUS[0]}}"

    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        line,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PROGRESSHUB_DATA_DIR": str(hub.data)},
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)

    assert (out.decode().strip(), err) in (("141", b""), ("0", b""))


async def test_the_doctor_finds_what_is_there(hub: Hub) -> None:
    well, as_json = await asyncio.gather(hub.typed("doctor"), hub.typed("doctor", "--json"))

    assert well.code == 0
    assert f"{hub.client.url} is healthy" in well.out
    found = {one["about"]: one for one in json.loads(as_json.out)}
    assert found["token"]["told"] == "one is sent; allowed is read, submit, command, admin"
    assert found["program"]["told"].startswith(f"progresshub {__version__}")


async def test_without_a_server_it_says_how_to_start_one(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    (left / "server.json").write_text('{"urls": ["http://127.0.0.1:9"], "version": "0.0.1"}')

    never, gone, doctor = await asyncio.gather(
        shell.run("ls", "--data-dir", str(tmp_path / "never")),
        shell.run("watch", "--data-dir", str(left)),
        shell.run("doctor", "--data-dir", str(left)),
    )

    assert (never.code, gone.code, doctor.code) == (69, 69, 1)
    for said in (never, gone):
        assert said.out == ""
        assert "start one with: progresshub serve" in said.err
    assert "the server is version 0.0.1" in gone.err
    assert "BAD" in doctor.out
