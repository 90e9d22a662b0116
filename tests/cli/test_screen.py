"""Bars in a real terminal, as a person sees them."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import serving
from tests.serving import Client
from tests.terminal import Terminal, terminal
from tests.wait import PATIENCE_S

HOSTILE = "a\x1b[2Jb\x1b]0;owned\x07c\x9b31md\u202ee\rf\ng\x07"
COUNTING = (
    "import time\nfor n in (1, 2):\n    print('line', n, flush=True)\nprint('\\x1b[2J\\x1b[31mred\\x1b[0m', end='')"
)
WAITING = "import time; print('begun', flush=True); time.sleep(600)"
CTRL_C = "\x03"


class Hub:
    def __init__(self, client: Client, data: Path) -> None:
        self.client = client
        self.environment = {"PROGRESSHUB_DATA_DIR": str(data)}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    data = tmp_path / "data"
    async with serving.serving(data, "scheduler.stalled_after_s=0.2") as client:
        yield Hub(client, data)


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[Hub]:
    """One that has children of its own, and so a process of its own."""
    data = tmp_path / "data"
    async with serving.process(data) as server, serving.client(server.url) as client:
        yield Hub(client, data)


def row(seen: Terminal, title: str) -> str:
    """The line of the task with that title; empty while there is none."""
    return next((line for line in seen.lines if title in line), "")


async def test_bars_are_watched_to_the_end(hub: Hub) -> None:
    boxes = await hub.client.submit("external", {"title": "Boxes", "total": 4000, "unit": "bytes"})
    letters = await hub.client.submit("external", {"title": "Letters"})
    await hub.client.report(boxes, current=1000, stage="packing")

    async with terminal("watch", columns=120, environment=hub.environment) as seen:
        await seen.shows("Boxes", "Letters", "2 ")
        await seen.until(lambda: re.search(r"━━━.* 25%", row(seen, "Boxes")))
        assert "%" not in row(seen, "Letters")
        assert seen.hides_cursor()
        await hub.client.report(boxes, current=3000)
        await seen.until(lambda: " 75%" in row(seen, "Boxes") and "3.0 kB / 4.0 kB" in row(seen, "Boxes"))
        await hub.client.report(boxes, status="done")
        await seen.shows("✓ Boxes  completed in", "1 completed")
        await hub.client.report(letters, status="failed", error="no wind")
        await seen.shows("✗ Letters  failed no wind")

        assert await seen.ended() == 1
        assert not seen.hides_cursor()
        assert "━" not in seen.text


async def test_ctrl_c_leaves_the_task_alone(hub: Hub) -> None:
    task_id = await hub.client.submit("external", {"title": "Boxes"})

    async with terminal("watch", task_id[:13], environment=hub.environment) as seen:
        await seen.shows("Boxes")
        seen.type(CTRL_C)

        assert await seen.ended() == 130
        await seen.shows("no longer watched; the tasks go on")
        assert not seen.hides_cursor()
        assert "Traceback" not in seen.text
    assert (await hub.client.task(task_id))["state"] == "active"


async def test_who_is_asked_to_end_leaves_the_terminal_tidy(hub: Hub) -> None:
    await hub.client.submit("external", {"title": "Boxes"})

    async with terminal("watch", environment=hub.environment) as seen:
        await seen.shows("Boxes")
        assert seen.process is not None
        seen.process.terminate()

        assert await seen.ended() == 143
        await seen.until(lambda: not seen.hides_cursor())
        assert "Traceback" not in seen.text


async def test_silence_is_amber(hub: Hub) -> None:
    task_id = await hub.client.submit("external", {"title": "Boxes"})
    await hub.client.report(task_id, percent=50)

    async with terminal("watch", task_id, environment=hub.environment) as seen:
        await seen.until(lambda: "stalled" in row(seen, "Boxes"))

        assert "brown" in seen.colours("Boxes")  # as terminals call dark yellow


@pytest.mark.parametrize("columns", [120, 80, 47, 30, 12])
async def test_a_task_is_one_line_however_narrow_it_is(hub: Hub, columns: int) -> None:
    titles = ["日本語のタイトルはとても長いので切られます", "عنوان عربي طويل جدا لا يتسع له المكان هنا أبدا", HOSTILE]
    for title in titles:
        task_id = await hub.client.submit("external", {"title": title, "total": 10})
        await hub.client.report(task_id, current=5, stage="a stage", message="and a message " * 10)

    async with terminal("watch", columns=columns, rows=10, environment=hub.environment) as seen:
        await seen.until(lambda: seen.text.count("50%") >= 3)

        bars = [line for line in seen.lines if "50%" in line and "of all" not in line]
        assert len(bars) == len(titles)
        assert len([line for line in seen.lines if line.strip()]) == len(titles) + 1


async def test_a_title_can_do_nothing_to_the_terminal(hub: Hub) -> None:
    await hub.client.submit("external", {"title": HOSTILE})

    async with terminal("watch", environment=hub.environment) as seen:
        await seen.until(lambda: row(seen, "• a"))

        for harm in (b"\x1b[2J", b"\x1b]0;", b"\x9b", b"\x07", "\u202e".encode()):
            assert harm not in seen.written


async def test_bars_follow_the_size_of_the_terminal(hub: Hub) -> None:
    for number in range(6):
        await hub.client.submit("external", {"title": f"Boxes {number}"})

    async with terminal("watch", columns=110, rows=20, environment=hub.environment) as seen:
        await seen.shows("Boxes 5")
        seen.resize(40, 7)
        await seen.shows("and 2 more")
        await seen.until(lambda: seen.lines[-1] == "")
        assert len([line for line in seen.lines if "Boxes" in line]) == 4
        seen.resize(90, 20)
        await seen.until(lambda: len([line for line in seen.lines if "Boxes" in line]) == 6)

        assert "more" not in seen.text


@pytest.mark.parametrize(
    ("environment", "told"), [({}, False), ({"TERM_PROGRAM": "ghostty"}, True), ({"VTE_VERSION": "8000"}, True)]
)
async def test_the_taskbar_is_told_where_it_is_understood(hub: Hub, environment: dict[str, str], told: bool) -> None:
    task_id = await hub.client.submit("external")
    await hub.client.report(task_id, percent=50)

    async with terminal("watch", task_id, environment={**hub.environment, **environment}) as seen:
        await seen.shows("50%")
        await hub.client.report(task_id, status="done")
        assert await seen.ended() == 0
        await seen.shows("completed")

    assert (b"\x1b]9;4;1;50\x07" in seen.written) == told
    assert seen.written.rstrip().endswith(b"\x1b]9;4;0;0\x07") == told


async def test_without_colours_there_are_none(hub: Hub) -> None:
    task_id = await hub.client.submit("external", {"title": "Boxes"})

    async with terminal("watch", task_id, environment={**hub.environment, "NO_COLOR": "1"}) as seen:
        await seen.shows("Boxes")
        await hub.client.report(task_id, status="done")
        assert await seen.ended() == 0

    assert not re.search(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d)[;m]", seen.written)


async def test_a_dumb_terminal_gets_lines(hub: Hub) -> None:
    task_id = await hub.client.submit("external", {"title": "Boxes"})
    await hub.client.report(task_id, status="done")

    async with terminal("watch", task_id, environment={**hub.environment, "TERM": "dumb"}) as seen:
        assert await seen.ended() == 0
        await seen.shows(f"{task_id[:8]} completed 100% Boxes")

    assert b"\x1b" not in seen.written


async def test_watching_goes_on_when_a_killed_server_is_started_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving.process(data) as server, serving.client(server.url) as client:
        task_id = await client.submit("external", {"title": "Boxes"})
        await client.report(task_id, percent=10)
        async with terminal("watch", task_id, environment={"PROGRESSHUB_DATA_DIR": str(data)}) as seen:
            await seen.until(lambda: "10%" in row(seen, "Boxes"))
            server.kill()
            await seen.shows("the server is away; trying again")
            await server.gone()

            async with serving.process(data) as again, serving.client(again.url) as other:
                await other.report(task_id, percent=60)
                await seen.until(lambda: "60%" in row(seen, "Boxes") and "away" not in seen.text)
                await other.report(task_id, status="done")

                assert await seen.ended() == 0


async def test_a_command_prints_above_its_bar(busy: Hub) -> None:
    async with terminal(
        "run", "--title", "Count", "--", sys.executable, "-c", COUNTING, environment=busy.environment
    ) as seen:
        assert await seen.ended() == 0
        await seen.shows("line 1\nline 2\nred", "✓ Count  completed")

    assert b"\x1b[31mred" in seen.written
    assert b"\x1b[2J" not in seen.written


async def test_ctrl_c_cancels_a_command_and_sees_its_end(busy: Hub) -> None:
    async with terminal("run", "--", sys.executable, "-c", WAITING, environment=busy.environment) as seen:
        await seen.shows("begun", "•")
        seen.type(CTRL_C)

        assert await seen.ended() == 130
        await seen.shows("cancelling", "cancelled")
    (task,) = (await busy.client.get("/api/v1/tasks"))["tasks"]
    assert (task["state"], task["progress"]["stage"]) == ("archived", "cancelled")


async def test_a_second_ctrl_c_leaves_at_once(busy: Hub) -> None:
    stubborn = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {WAITING}"

    async with terminal("run", "--", sys.executable, "-c", stubborn, environment=busy.environment) as seen:
        await seen.shows("begun", "•")
        seen.type(CTRL_C)
        await seen.shows("Ctrl-C again leaves it to the server")
        seen.type(CTRL_C)

        assert await seen.ended() == 130
        await seen.until(lambda: not seen.hides_cursor())
        assert "Traceback" not in seen.text


async def test_only_the_output_goes_where_it_is_redirected(busy: Hub) -> None:
    words = ("run", "--title", "Count", "--", sys.executable, "-c", COUNTING)

    async with terminal(*words, redirected=True, environment=busy.environment) as seen:
        assert seen.process is not None
        assert seen.process.stdout is not None
        out = await asyncio.wait_for(seen.process.stdout.read(), PATIENCE_S)
        assert await seen.ended() == 0
        await seen.shows("✓ Count  completed")

    assert out == b"line 1\nline 2\n\x1b[2J\x1b[31mred\x1b[0m"
    assert "line 1" not in seen.text
