"""A task's page in a real browser, against a real server with real tasks."""

from __future__ import annotations

import asyncio
import os
import re

import pytest
from playwright.async_api import Page, expect

from progresshub.edge import tokenfile
from tests.browser import visiting
from tests.media import File, Gate, make_video, media_server
from tests.serving import Client, command_file, serving
from tests.wait import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = r"""
import sys
print("<script>window.broken = true</script><img src=x onerror='window.broken = true'>")
print("\x1b[1;31mred\x1b[0m plain \x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07 \x1b[2J\x1b[31")
print("safe \u202eexe.txt \u2066isolated")
sys.stdout.flush()
sys.stdout.buffer.write(b"bytes \xff\xfe\x00 end\n")
sys.stdout.flush()
print("x" * 20_000)
print("10%\r50%\r100% of it")
"""


HASTY = """
from progresshub import Context, task

@task
def hasty(ctx: Context):
    ctx.steps(["fold", "iron"])
    with ctx.step("fold"):
        pass
"""
SPANS = """(spans) => spans.map((span) =>
    [span.x, span.width].map((length) => length.baseVal.valueInSpecifiedUnits))"""


async def opened(visitor, server: Client, task_id: str) -> Page:
    tab: Page = await visitor.tab(f"{server.url}/tasks/{task_id}")
    await expect(tab.locator("#link")).to_have_text("Live")
    return tab


async def test_a_download_is_watched_played_and_saved(tmp_path, visitor):
    film = make_video(tmp_path).read_bytes()
    gate = Gate(len(film) // 2)
    async with media_server() as media, serving(tmp_path / "data", "downloads.allow_private=true") as server:
        url = media.add("film.mp4", File(content=film, gate=gate))
        task = await server.submit("download", {"url": url, "format": "best"})
        tab = await opened(visitor, server, task)
        await expect(tab.locator(".task-head .state")).to_have_text("Running")

        await gate.open(len(film) + 1)
        await expect(tab.locator(".task-head .percent")).to_have_text("100 %")
        video = tab.locator("video")
        await video.evaluate("async (video) => { video.muted = true; await video.play(); }")
        await tab.wait_for_function("() => document.querySelector('video').currentTime > 0")
        async with tab.expect_download() as saving:
            await tab.get_by_role("link", name="Save the file").click()
        saved = await saving.value
        await saved.save_as(tmp_path / "saved")

        assert (tmp_path / "saved").read_bytes() == film
        assert saved.suggested_filename == "film.mp4"
        await expect(tab.locator(".events")).to_contain_text("Completed")
        await expect(tab).to_have_title("100 % · " + url.removeprefix("http://"))


async def test_a_task_is_cancelled_and_done_over(tmp_path, visitor):
    file = command_file(tmp_path, wait="import time; time.sleep(60)")
    async with serving(tmp_path / "data", file=file) as server:
        task = await server.submit("command", {"name": "wait"})
        tab = await opened(visitor, server, task)
        await expect(tab.locator(".task-head .state")).to_have_text("Running")

        await tab.get_by_role("button", name="Cancel").click()
        await expect(tab.locator(".task-head .state")).to_have_text("Cancelled")
        await expect(tab.get_by_role("button", name="Cancel")).to_be_hidden()
        await tab.keyboard.press("r")
        await tab.wait_for_url(lambda url: not url.endswith(task))

        await expect(tab.locator(".task-head .state")).to_have_text("Running")
        await expect(tab.locator(".events")).to_contain_text("Started")
        await tab.keyboard.press("c")
        await expect(tab.locator(".task-head .state")).to_have_text("Cancelled")


async def test_who_rules_pauses_the_queue_of_a_task(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await server.submit("external")
        await visitor.context.request.post(f"{server.url}/-/login", data={"token": tokenfile.local_token(tmp_path)})
        tab = await opened(visitor, server, task)

        await tab.get_by_role("button", name="Pause default").click()
        await expect(tab.get_by_role("button", name="Resume default")).to_be_visible()
        (stats,) = await server.get("/api/v1/queues/stats", queue="default")

        assert stats["paused"]


async def test_a_log_is_followed_as_it_grows(tmp_path, visitor):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = (
        f"print('first', flush=True); open({str(gate)!r}).read(); print('half', end='', flush=True); print(' last')"
    )
    async with serving(tmp_path / "data", file=command_file(tmp_path, it=program)) as server:
        tab = await opened(visitor, server, await server.submit("command", {"name": "it"}))
        lines = tab.locator(".log .line")
        await expect(lines.first).to_have_text("first")

        async with asyncio.timeout(PATIENCE_S):
            await asyncio.to_thread(gate.write_text, "go")

        await expect(tab.locator(".log .lines .line")).to_have_text(["first", "half last"])
        await expect(tab.locator(".task-head .state")).to_have_text("Completed")


async def test_a_short_log_takes_no_more_room_than_its_lines(tmp_path, visitor):
    async with serving(tmp_path / "data", file=command_file(tmp_path, it="print('one'); print('two')")) as server:
        tab = await opened(visitor, server, await server.submit("command", {"name": "it"}))
        await expect(tab.locator(".log .lines .line")).to_have_text(["one", "two"])

        height = await tab.locator(".log-box").evaluate("(box) => box.offsetHeight")

        assert height < 100


async def test_a_long_log_begins_with_its_end_and_is_read_upward(tmp_path, visitor):
    async with serving(
        tmp_path / "data", file=command_file(tmp_path, it="for n in range(9_000): print('number', n)")
    ) as server:
        task = await server.submit("command", {"name": "it"})
        await server.ended(task)
        tab = await opened(visitor, server, task)
        box, lines = tab.locator(".log-box"), tab.locator(".log .lines .line")
        await expect(lines.last).to_have_text("number 8999")
        assert await lines.count() < 9_000

        while await box.evaluate("(box) => !box.querySelector('.earlier').hidden"):
            before = await lines.count()
            await box.evaluate("(box) => box.scrollTo(0, 0)")
            await tab.wait_for_function("(n) => document.querySelectorAll('.log .lines .line').length > n", arg=before)

        await expect(lines.first).to_have_text("number 0")
        assert await lines.count() == 9_000
        assert await tab.get_by_role("button", name="Follow").get_attribute("aria-pressed") == "false"


async def test_a_log_is_searched_as_a_whole(tmp_path, visitor):
    program = "for n in range(9_000): print('needle' if n in (5, 8_000) else 'hay', n)"
    async with serving(tmp_path / "data", file=command_file(tmp_path, it=program)) as server:
        task = await server.submit("command", {"name": "it"})
        await server.ended(task)
        tab = await opened(visitor, server, task)
        field = tab.get_by_label("Search the log")

        await field.fill("NEEDLE")
        await expect(tab.locator(".count")).to_have_text("2")
        await field.press("Enter")
        await expect(tab.locator(".count")).to_have_text("2 of 2")
        await expect(tab.get_by_text("needle 8000")).to_be_in_viewport()
        await field.press("Enter")

        await expect(tab.get_by_text("needle 5", exact=True)).to_be_in_viewport()


async def test_nothing_that_a_program_prints_is_more_than_text(tmp_path, visitor):
    async with serving(tmp_path / "data", file=command_file(tmp_path, it=HOSTILE)) as server:
        task = await server.submit("command", {"name": "it"}, title="<script>broken()</script> \u202etitle")
        await server.ended(task)
        tab = await opened(visitor, server, task)
        lines = tab.locator(".log .lines .line")
        await expect(lines).to_have_count(6)

        texts = await lines.all_inner_texts()

        assert texts[0].startswith("<script>window.broken = true</script><img")
        assert texts[1] == "red plain link 31"
        assert texts[2].split() == ["safe", "U+202Eexe.txt", "U+2066isolated"]
        assert texts[3] == "bytes \ufffd\ufffd end"
        assert texts[4].endswith("12000 more characters")
        assert texts[5] == "100% of it"
        assert await lines.nth(1).locator(".a-f1.a-bold").inner_text() == "red"
        assert await tab.locator(".log script, .log img, h1 script").count() == 0
        assert await tab.evaluate("window.broken") is None


async def test_steps_are_drawn_side_by_side_with_how_long_they_took(tmp_path, visitor):
    steps = [
        {"name": "one", "type": "demo", "payload": {"count": 2, "delay_ms": 50}},
        {"name": "left", "type": "demo", "needs": ["one"], "payload": {"count": 4, "delay_ms": 100}},
        {"name": "right", "type": "demo", "needs": ["one"], "payload": {"count": 4, "delay_ms": 100}},
    ]
    async with serving(tmp_path) as server:
        task = await server.submit("pipeline", {"steps": steps})
        tab = await opened(visitor, server, task)
        await expect(tab.locator(".task-head .percent")).to_have_text("100 %")
        rows = tab.locator(".steps li")
        await expect(rows).to_have_text(
            [re.compile(rf"✓{name}(< 0\.1|0\.\d|[1-9]\d*) s$") for name in ("one", "left", "right")]
        )

        spans = await rows.locator(".span").evaluate_all(SPANS)

        (one_x, one_width), (left_x, left_width), (right_x, right_width) = spans
        assert one_x == 0
        assert min(left_x, right_x) >= one_width - 1
        assert left_x < right_x + right_width
        assert right_x < left_x + left_width


async def test_a_step_that_was_left_out_is_not_said_to_wait(tmp_path, visitor):
    (tmp_path / "hasty.py").write_text(HASTY)
    async with serving(tmp_path / "data", 'python.modules=["hasty"]', f'python.path=["{tmp_path}"]') as server:
        tab = await opened(visitor, server, await server.submit("hasty"))

        await expect(tab.locator(".task-head .state")).to_have_text("Completed")
        await expect(tab.locator(".steps li").last).to_have_text("·ironnot done")


async def test_a_silent_task_says_for_how_long_it_has_been_so(tmp_path, visitor):
    async with serving(tmp_path, "scheduler.stalled_after_s=0.2") as server:
        task = await server.submit("external", {"title": "Quiet"})
        await server.report(task, percent=10)
        tab = await opened(visitor, server, task)

        await expect(tab.locator(".standing")).to_have_text(re.compile(r"^Stalled10 %no news for \d+ s$"))


async def test_a_task_that_will_be_tried_again_is_not_said_to_run(tmp_path, visitor):
    file = command_file(tmp_path, breaks="raise SystemExit('no paper')")
    async with serving(tmp_path / "data", "scheduler.backoff_s=3000", file=file) as server:
        tab = await opened(visitor, server, await server.submit("command", {"name": "breaks"}, max_retries=2))

        await expect(tab.locator(".times")).to_have_text(re.compile(r"^Asked for [^·]+ · tries again at [^·]+$"))


async def test_the_course_of_a_task_is_drawn(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await server.submit("external", {"title": "Boxes", "total": 100, "unit": "bytes"})
        tab = await opened(visitor, server, task)

        for percent in range(1, 71):
            await server.report(task, current=percent, speed_bps=2_000_000)
            await expect(tab.locator(".task-head .percent")).to_have_text(f"{percent} %")
        await expect(tab.locator(".plot canvas")).to_be_visible()
        await server.report(task, current=77, speed_bps=1_000_000)

        await expect(tab.locator(".reading")).to_contain_text("77 % · 1 MB/s")


async def test_what_was_there_before_a_restart_is_there_after_it(tmp_path, visitor):
    async with serving(tmp_path) as server:
        port = int(server.url.rpartition(":")[2])
        task = await server.submit("external", {"title": "Boxes"})
        tab = await opened(visitor, server, task)
        await server.report(task, percent=10)
        await expect(tab.locator(".task-head .percent")).to_have_text("10 %")
    await expect(tab.locator("#link")).not_to_have_text("Live")
    async with serving(tmp_path, f"port={port}") as server:
        await server.report(task, percent=30)
        await expect(tab.locator(".task-head .percent")).to_have_text("30 %")
        await server.report(task, status="done", result={"boxes": 3})

        await expect(tab.locator(".result .json")).to_contain_text('"boxes": 3')


async def test_a_task_that_is_not_there_or_no_more_is_said_so(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await server.submit("external")
        nowhere = await visitor.tab(f"{server.url}/tasks/nothing")
        tab = await opened(visitor, server, task)
        await expect(tab.locator(".task-head .state")).to_have_text("Running")
        await server.post(f"/api/v1/tasks/{task}/cancel")
        await server.ask("DELETE", f"/api/v1/tasks/{task}")

        await expect(nowhere.locator(".empty")).to_contain_text("There is no task nothing")
        await expect(tab.locator(".empty")).to_contain_text("This task was deleted.")
        await tab.get_by_role("link", name="All tasks").click()
        await expect(tab.get_by_role("heading", name="Tasks")).to_be_attached()


async def test_an_unknown_total_is_no_figure(tmp_path, visitor):
    async with serving(tmp_path) as server:
        tab = await opened(visitor, server, await server.submit("external", {"title": "Boxes"}))
        bar = tab.get_by_role("progressbar", name="Boxes")

        await expect(bar).to_have_attribute("aria-valuetext", "amount unknown")
        assert await bar.get_attribute("aria-valuenow") is None
        await expect(tab.locator(".task-head .percent")).to_be_hidden()


async def test_at_a_phones_width_nothing_sticks_out(tmp_path, browser):
    async with (
        serving(tmp_path) as server,
        visiting(browser, viewport={"width": 360, "height": 740}, has_touch=True) as visitor,
    ):
        task = await server.submit("external", {"title": "A_title_without_any_space_" * 5, "total": 10})
        await server.report(task, current=5, message="b" * 200)
        tab = await opened(visitor, server, task)
        await expect(tab.locator(".task-head .percent")).to_have_text("50 %")

        assert await tab.evaluate("document.documentElement.scrollWidth") == 360
