"""What the page knows and how it writes figures: its modules, called in the browser they are made for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser import visiting
from tests.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRELUDE = """
    const { Store, MOST } = await import(new URL("-/web/latest/store.js", document.baseURI));
    const row = (id, changed, given = {}) =>
        ({ id, seq: Number(id), changed, state: "running", kind: "demo", queue: "default", created_ms: 0, ...given });
    const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tab(tmp_path_factory, browser) -> AsyncIterator[Page]:
    """One page for all of these; they share nothing but its modules."""
    async with serving(tmp_path_factory.mktemp("data")) as server, visiting(browser) as visitor:
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")
        yield tab


async def told(tab: Page, program: str) -> Any:
    """What a program returns that has a store's module at hand."""
    return await tab.evaluate(f"async () => {{ {PRELUDE} {program} }}")


async def test_a_burst_of_news_is_told_once_a_frame(tab):
    calls = await told(
        tab,
        """
        const store = new Store(), heard = [];
        store.watch(({ ids, reshaped }) => heard.push([[...ids], reshaped]));
        for (let n = 0; n < 200; n += 1) store.apply(row(String(n % 4), `5-${n}`));
        await frame();
        store.apply(row("1", "6-0"));
        await frame();
        return heard;
        """,
    )

    assert calls == [[["0", "1", "2", "3"], True], [["1"], False]]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("5-1", "5-2", "5-2"),
        ("5-2", "5-1", "5-2"),
        ("5-9", "5-10", "5-10"),
        ("10-0", "9-7", "10-0"),
        ("5-1", "5-1", "5-1"),
    ],
)
async def test_the_newer_of_two_rows_wins_whichever_comes_first(tab, first, second, kept):
    program = f"""
        const store = new Store();
        store.apply(row("1", "{first}"));
        store.apply(row("1", "{second}"));
        return store.get("1").changed;
    """

    assert await told(tab, program) == kept


async def test_a_census_forgets_what_is_neither_listed_nor_heard_of_and_keeps_deleted_rows_out(tab):
    left = await told(
        tab,
        """
        const store = new Store();
        for (const id of ["1", "2", "3"]) store.apply(row(id, "5-0"));
        const census = store.beginCensus();
        store.apply(row("2", "5-0"));
        store.apply(row("4", "6-0"));
        store.remove("3");
        store.apply(row("3", "5-0"));
        store.endCensus(census, { complete: true, lowest: 1 });
        return [...store.rows()].map(({ id }) => id);
        """,
    )

    assert left == ["2", "4"]


async def test_it_keeps_a_bounded_number_of_tasks_that_have_ended(tab):
    most, size, has_live, has_newest = await told(
        tab,
        """
        const store = new Store();
        store.apply(row("0", "1-0"));
        for (let n = 1; n < 3 * MOST; n += 1) store.apply(row(String(n), `1-${n}`, { state: "completed" }));
        return [MOST, store.size, Boolean(store.get("0")), Boolean(store.get(String(3 * MOST - 1)))];
        """,
    )

    assert most <= size <= 1.2 * most
    assert (has_live, has_newest) == (True, True)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("percent(99.99)", "99 %"),
        ("percent(0.4)", "0 %"),
        ("percent(undefined)", ""),
        ("percent(12, true)", "100 %"),
        ("duration(999)", "1 s"),
        ("duration(125_000)", "2 min 5 s"),
        ("duration(3_600_000)", "1 h"),
        ("duration(97_200_000)", "1 d 3 h"),
        ("duration(null)", ""),
        ("lasted(12)", "< 0.1 s"),
        ("lasted(340)", "0.3 s"),
        ("lasted(999)", "1 s"),
        ("lasted(null)", ""),
        ("remaining(65_000, 60_000).split(' · ')[0]", "5 s left"),
        ("remaining(59_000, 60_000).split(' · ')[0]", "1 s left"),
        ("remaining(57_000, 60_000)", ""),
        ("remaining(undefined, 60_000)", ""),
        ("size(1_234_567)", "1.2 MB"),
        ("size(999)", "999 B"),
        ("amount(1204, 'pages')", "1204 pages"),
        ("amount(2e9, 'bytes')", "2 GB"),
        ("speed(0, 'bytes')", ""),
        ("speed(0.05, 'pages')", "3 pages/min"),
        ("speed(12.34, 'pages')", "12 pages/s"),
    ],
)
async def test_figures_are_written_for_people(tab, call, text):
    program = f"""
        const formats = await import(new URL("-/web/latest/format.js", document.baseURI));
        const {{ amount, duration, lasted, percent, remaining, size, speed }} = formats;
        return {call};
    """

    assert await told(tab, program) == text
