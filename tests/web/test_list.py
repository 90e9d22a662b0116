"""The live list in a real browser, against a real server with real tasks."""

from __future__ import annotations

import asyncio
import os
import re

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser import inaccessible, visiting
from tests.serving import Client, command_file, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202egnp.exe"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def line(tab: Page, title: str):
    return tab.locator("li.row", has=tab.get_by_role("link", name=title, exact=True))


def titles(tab: Page):
    return tab.locator("li.row .title")


async def outside(server: Client, title: str, **more: str) -> str:
    """A task that waits for reports."""
    return await server.submit("external", {"title": title}, **more)


async def test_a_task_is_watched_from_its_start_to_its_end(tmp_path, visitor):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    file = command_file(
        tmp_path, pack=f"print('4/10', '5/10', '6/10', sep='\\n', flush=True); open({str(gate)!r}).read()"
    )
    async with serving(tmp_path / "data", file=file) as server:
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")
        await server.submit("command", {"name": "pack"}, title="Pack")

        await expect(line(tab, "Pack").get_by_role("progressbar")).to_have_attribute("aria-valuenow", "60")
        await expect(line(tab, "Pack").locator(".figure")).to_have_text("60 %")
        await expect(tab.get_by_role("status")).to_contain_text("Pack has started")
        await asyncio.to_thread(gate.write_text, "go on")

        await expect(line(tab, "Pack")).to_contain_text("completed")
        await expect(tab.get_by_role("status")).to_contain_text("Pack is completed")
        await expect(tab).to_have_title("progresshub")


async def test_what_nobody_knows_is_no_figure(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await outside(server, "Crawl")
        await server.report(task, stage="crawling", current=12, unit="pages")
        tab = await visitor.tab(f"{server.url}/")
        bar = line(tab, "Crawl").get_by_role("progressbar")

        await expect(bar).to_have_attribute("aria-valuetext", "amount unknown")
        await expect(bar).not_to_have_attribute("aria-valuenow", re.compile(r".*"))
        await expect(bar.locator(".unknown")).to_have_count(1)
        await expect(line(tab, "Crawl").locator(".figure")).to_have_text("12 pages")


async def test_speed_time_left_and_the_time_of_day_are_told(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await outside(server, "Far")
        await server.report(task, percent=10, unit="bytes", speed_bps=2_000_000, eta_s=3_600)
        tab = await visitor.tab(f"{server.url}/")

        await expect(line(tab, "Far")).to_contain_text(re.compile(r"2 MB/s · (1 h|59 min) left · .*\d+:\d\d"))
        await expect(tab.locator(".overall")).to_contain_text(re.compile(r"2 MB/s · (1 h|59 min) left"))


async def test_a_bar_shows_its_steps(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await outside(server, "Film")
        await server.report(task, steps=[{"name": "fetch", "weight": 3}, {"name": "cut"}])
        await server.report(task, step="fetch", status="done")
        await server.report(task, step="cut", percent=50)
        tab = await visitor.tab(f"{server.url}/")

        await expect(line(tab, "Film").locator(".bar")).to_have_count(2)
        await expect(line(tab, "Film").locator(".bar").first).to_have_attribute("data-tone", "good")
        await expect(line(tab, "Film")).to_contain_text("2/2 cut")
        await expect(line(tab, "Film").locator(".figure")).to_have_text("87 %")


async def test_a_task_without_news_is_amber(tmp_path, visitor):
    async with serving(tmp_path, "scheduler.stalled_after_s=0.2") as server:
        task = await outside(server, "Quiet")
        await server.report(task, percent=10)
        tab = await visitor.tab(f"{server.url}/")

        await expect(line(tab, "Quiet")).to_contain_text(re.compile(r"Stalled: no news for \d+ s"))
        await expect(line(tab, "Quiet").locator(".bar")).to_have_attribute("data-tone", "warn")
        await expect(tab.locator(".overall")).to_contain_text("1 stalled")

        await server.report(task, percent=11)
        await expect(line(tab, "Quiet").locator(".figure")).to_have_text("11 %")


async def test_a_task_that_will_be_tried_again_says_which_attempt_failed_and_when(tmp_path, visitor):
    file = command_file(tmp_path, breaks="raise SystemExit('no paper')")
    async with serving(tmp_path / "data", "scheduler.backoff_s=3000", file=file) as server:
        await server.submit("command", {"name": "breaks"}, title="Print", max_retries=2)
        tab = await visitor.tab(f"{server.url}/")

        await expect(line(tab, "Print")).to_contain_text("attempt 1 of 3")
        await expect(line(tab, "Print")).to_contain_text("tries again after:")
        await expect(line(tab, "Print")).to_contain_text(re.compile(r"in \d+ min( \d+ s)? · "))


async def test_filters_are_in_the_address_and_outlast_a_reload(tmp_path, visitor):
    async with serving(tmp_path) as server:
        done = await outside(server, "Boats", queue="harbour")
        await server.report(done, status="done")
        await outside(server, "Ships", queue="harbour")
        await outside(server, "Cafés")
        await server.submit("demo", {"message": "Never", "count": 1}, process_at="2099-01-01T00:00:00Z")
        tab = await visitor.tab(f"{server.url}/?queue=harbour")
        await expect(titles(tab)).to_have_text(["Ships", "Boats"])

        await tab.get_by_role("link", name="Completed 1").click()
        await expect(tab).to_have_url(f"{server.url}/?state=completed&queue=harbour")
        await expect(titles(tab)).to_have_text(["Boats"])
        await tab.reload()
        await expect(titles(tab)).to_have_text(["Boats"])

        await tab.goto(f"{server.url}/?kind=demo&state=scheduled")
        await expect(titles(tab)).to_have_text(["Never"])
        await tab.goto(f"{server.url}/")
        await tab.get_by_label("Search the tasks").fill("cafes EXT")
        await expect(titles(tab)).to_have_text(["Cafés"])
        await expect(tab).to_have_url(f"{server.url}/?q=cafes+EXT")
        await tab.get_by_label("Search the tasks").fill(done[:8])
        await expect(titles(tab)).to_have_text(["Boats"])


async def test_queues_have_heads_that_fold_and_pause(tmp_path, visitor):
    async with serving(tmp_path) as server:
        await outside(server, "One", queue="first")
        await outside(server, "Two", queue="second")
        tab = await visitor.tab(server.login_url)
        await expect(titles(tab)).to_have_text(["One", "Two"])

        await tab.get_by_role("button", name="first", exact=True).click()
        await expect(titles(tab)).to_have_text(["Two"])
        await tab.reload()
        await expect(titles(tab)).to_have_text(["Two"])

        await tab.get_by_role("button", name="Pause the queue second").click()
        await expect(tab.get_by_role("button", name="Resume the queue second")).to_be_visible()
        stats = await server.get("/api/v1/queues/stats", queue="second")
        assert stats[0]["paused"]


async def test_what_others_wrote_stays_text(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await outside(server, HOSTILE)
        await server.report(task, percent=5, stage=HOSTILE, message=HOSTILE)
        tab = await visitor.tab(f"{server.url}/")
        await tab.evaluate("() => { globalThis.alert = () => { globalThis.ran = true; }; }")

        await expect(titles(tab)).to_have_text([HOSTILE])
        await server.report(task, status="failed", error=HOSTILE)
        await expect(tab.locator("li.row .word")).to_contain_text("<img src=x")

        assert await tab.locator("main :is(img, script)").count() == 0
        assert not await tab.evaluate("globalThis.ran")


async def test_titles_from_right_to_left_keep_to_themselves(tmp_path, visitor):
    async with serving(tmp_path) as server:
        await outside(server, "فيلم: 12 (a)")
        tab = await visitor.tab(f"{server.url}/")

        direction = await titles(tab).first.evaluate("(title) => getComputedStyle(title).direction")

    assert direction == "rtl"


async def test_keys_move_select_and_act_but_never_while_one_types(tmp_path, visitor):
    async with serving(tmp_path) as server:
        one, two = await outside(server, "One"), await outside(server, "Two")
        tab = await visitor.tab(f"{server.url}/")
        await expect(titles(tab)).to_have_text(["Two", "One"])

        await tab.keyboard.press("/")
        await tab.keyboard.type("cx?")
        await expect(tab.get_by_label("Search the tasks")).to_have_value("cx?")
        await tab.keyboard.press("Escape")
        await tab.keyboard.press("Escape")
        await expect(titles(tab)).to_have_count(2)

        await tab.keyboard.press("j")
        await expect(titles(tab).first).to_be_focused()
        await tab.keyboard.press("x")
        await tab.keyboard.press("j")
        await tab.keyboard.press("x")
        await expect(tab.get_by_role("region", name="Selected tasks")).to_contain_text("2 selected")
        await tab.keyboard.press("Escape")
        await tab.keyboard.press("c")
        await expect(line(tab, "One")).to_contain_text("cancelled")
        assert (await server.task(two))["state"] == "active"

        await tab.keyboard.press("r")
        await expect(titles(tab)).to_have_text(["One", "Two", "One"])
        await tab.keyboard.press("?")
        await expect(tab.get_by_role("dialog", name="Keyboard")).to_contain_text("Next task")
        await tab.keyboard.press("Escape")
        await expect(tab.get_by_role("dialog")).to_be_hidden()
        await tab.keyboard.press("Enter")
        await expect(tab).to_have_url(re.compile(rf"/tasks/{one}$"))
        await tab.go_back()
        await expect(titles(tab)).to_have_count(3)
        await tab.keyboard.press("j")
        await tab.keyboard.press("l")
        await expect(tab.get_by_role("heading", name="Log")).to_be_in_viewport()


async def test_a_line_that_changes_or_moves_keeps_the_focus(tmp_path, visitor):
    async with serving(tmp_path) as server:
        one, _ = await outside(server, "One"), await outside(server, "Two")
        tab = await visitor.tab(f"{server.url}/")
        await titles(tab).last.focus()

        await server.post(f"/api/v1/tasks/{one}/cancel")
        await expect(line(tab, "One")).to_contain_text("cancelled")
        await expect(titles(tab).last).to_be_focused()
        await outside(server, "Three")
        await expect(titles(tab)).to_have_count(3)
        await expect(titles(tab).last).to_be_focused()


async def test_a_refusal_is_said(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await outside(server, "Gone in a moment")
        tab = await visitor.tab(f"{server.url}/")
        await visitor.context.route("**/cancel", lambda route: route.fulfill(status=409, json={"error": "Too late."}))

        await line(tab, "Gone in a moment").get_by_role("button", name="Cancel").click()

        await expect(tab.get_by_role("alert")).to_have_text("Too late.")
        assert (await server.task(task))["state"] == "active"


async def test_what_is_deleted_leaves_the_list(tmp_path, visitor):
    async with serving(tmp_path) as server:
        task = await outside(server, "Short-lived")
        await server.report(task, status="done")
        tab = await visitor.tab(f"{server.url}/")
        await expect(titles(tab)).to_have_text(["Short-lived"])

        await server.ask("DELETE", f"/api/v1/tasks/{task}")

        await expect(tab.locator("main")).to_contain_text("There are no tasks yet.")


async def test_the_title_and_the_icon_tell_how_far_all_is(tmp_path, visitor):
    async with serving(tmp_path) as server:
        one, two = await outside(server, "One"), await outside(server, "Two")
        await server.report(one, percent=50)
        await server.report(two, percent=10)
        tab = await visitor.tab(f"{server.url}/")

        await expect(tab).to_have_title("30 % · 2 active · progresshub")
        await expect(tab.locator("#favicon")).to_have_attribute("href", re.compile("^data:image/svg"))
        await outside(server, "Later", process_at="2099-01-01T06:00:00Z")
        await expect(tab.locator(".overall .words")).to_contain_text("2 active · 1 scheduled")

        await server.report(two, status="done")
        await expect(tab).to_have_title("75 % · 1 active · progresshub")


async def test_ten_thousand_tasks_are_a_few_dozen_lines(tmp_path, visitor):
    async with serving(tmp_path, "store.kind=memory", "queues.default.paused=true") as server:
        tasks = [{"type": "demo", "payload": {"message": f"Task {n}"}} for n in range(10_000)]
        await server.post("/api/v1/tasks/batch", {"tasks": tasks}, 201)
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.get_by_role("link", name="All 10,000")).to_be_visible()

        await tab.evaluate("scrollTo(0, document.body.scrollHeight)")

        await expect(line(tab, "Task 9999")).to_be_in_viewport()
        assert await tab.locator("li.row").count() < 60
        await tab.get_by_label("Search the tasks").fill("task 4321")
        await expect(titles(tab)).to_have_text(["Task 4321"])


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
async def test_nothing_stands_in_anybodys_way(tmp_path, browser, options):
    async with serving(tmp_path, "scheduler.stalled_after_s=0.2") as server:
        for n, state in enumerate(["done", "failed", ""]):
            task = await outside(server, f"Task {n}", queue=f"queue-{n}")
            await server.report(task, percent=10 * n, stage="folding", **({"status": state} if state else {}))
        await outside(server, "Cancelled")
        async with visiting(browser, **options) as visitor:
            tab = await visitor.tab(f"{server.url}/")
            await expect(line(tab, "Task 2")).to_contain_text("Stalled")

            found = await inaccessible(tab)
            width = await tab.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert found == []
    assert width <= 0


async def test_on_a_phone_long_names_leave_room_for_the_rest(tmp_path, browser):
    async with serving(tmp_path) as server, visiting(browser, **PHONE) as visitor:
        task = await outside(server, "A title that is long enough", queue="queue_" * 9)
        await server.report(task, percent=38, message="one of many words " * 4)
        await server.submit("demo", {})
        tab = await visitor.tab(f"{server.url}/")
        await expect(line(tab, "A title that is long enough")).to_contain_text("38 %")

        edges = {name: await edge(tab.locator(name).last) for name in ("#search", ".sieve select", ".lines")}
        tallies = [await edge(tally) for tally in await tab.locator(".head .tally").all()]
        width = await titles(tab).last.evaluate("(title) => title.offsetWidth")

    assert len(set(edges.values())) == 1, edges
    assert max(tallies) <= edges[".lines"]
    assert width > 180


async def edge(of: Locator) -> int:
    """Where it ends on the right."""
    right: float = await of.evaluate("(element) => element.getBoundingClientRect().right")
    return round(right)
