"""The dashboard's frame in a real browser, against a real server."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_task_is_seen_and_moves(tmp_path, visitor):
    async with serving(tmp_path) as server:
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")

        task = await server.submit("external", {"title": "Pack the boxes"})
        await expect(tab.get_by_text("Pack the boxes")).to_be_visible()
        await server.report(task, percent=42)
        await server.report(task, status="done")

        await expect(tab.locator("main")).to_contain_text("completed")
