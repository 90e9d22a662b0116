"""New tasks from forms, in a real browser: what the schemas say is what can be filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser import inaccessible
from tests.media import File, make_video, media_server
from tests.serving import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = """
[commands.repeat]
argv = ["printf", "{word}"]
params = { word = "[a-z]+" }
summary = "Says a word again"

[pipelines.greet]
steps = [{ name = "hello", type = "demo", payload = { message = "${inputs.who}", count = 1, delay_ms = 0 } }]
inputs = { who = "world" }
"""
CHORES = """
from typing import Literal

from progresshub import Context, task


@task
def chores(ctx: Context, names: list[str], sizes: dict[str, int], mood: Literal["good", "bad"] = "good") -> None:
    pass
"""
DROP = """([kind, text]) => {
    const data = new DataTransfer();
    if (kind === "address") data.setData("text/uri-list", text);
    else data.items.add(new File([text], kind));
    for (const name of ["dragenter", "dragover", "drop"]) {
        document.body.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
    }
}"""


def settings(folder: Path) -> Path:
    file = folder / "config.toml"
    file.write_text(SETTINGS)
    return file


async def started(tab: Page) -> str:
    """Press the button; the id of the task whose page that leads to."""
    await tab.get_by_role("button", name="Start").click()
    await tab.wait_for_url("**/tasks/*")
    await expect(tab.locator(".task-head")).to_be_visible()
    return tab.url.rpartition("/")[2]


def leaves(schema: Any) -> set[str]:
    """The names of the fields of a payload, or of its first variant."""
    first = schema.get("oneOf", [schema])[0]
    return {name for name, part in first.get("properties", {}).items() if "const" not in part}


async def test_every_type_has_a_form_with_all_that_it_takes(tmp_path, visitor):
    (tmp_path / "somebodys.py").write_text(CHORES)
    python = ('python.modules=["somebodys"]', f'python.path=["{tmp_path}"]')
    async with serving(tmp_path / "data", *python, file=settings(tmp_path)) as server:
        types = (await server.get("/api/v1/types"))["types"]
        tab = await visitor.tab(f"{server.url}/new")
        await expect(tab.locator(".choice")).to_have_count(len(types))

        for one in types:
            await tab.locator(f'.choice input[value="{one["type"]}"]').check()
            shown = await tab.locator(".new [data-field]").evaluate_all("(all) => all.map((one) => one.dataset.field)")

            assert leaves(one["schema"]) <= set(shown), one["type"]
        assert await inaccessible(tab) == []
    assert {"chores", "demo", "download", "external", "command", "pipeline"} <= {one["type"] for one in types}


async def test_what_is_filled_in_is_what_is_asked(tmp_path, visitor):
    async with serving(tmp_path) as server:
        tab = await visitor.tab(f"{server.url}/new?type=demo&message=hello")
        await expect(tab.get_by_label("message")).to_have_value("hello")
        await tab.get_by_label("count").fill("2")
        await tab.get_by_label("delay ms").fill("0")
        await tab.get_by_text("More").click()
        await tab.get_by_label("queue").fill("low")
        await tab.get_by_label("priority").fill("7")

        task = await server.ended(await started(tab))

        assert task["payload"] == {"message": "hello", "count": 2, "delay_ms": 0}
        assert (task["queue"], task["priority"], task["state"]) == ("low", 7, "completed")
        await expect(tab.locator(".task-head .state")).to_have_text("Completed")


async def test_what_does_not_fit_is_told_at_its_field(tmp_path, visitor):
    async with serving(tmp_path, file=settings(tmp_path)) as server:
        tab = await visitor.tab(f"{server.url}/new?type=command")
        word = tab.get_by_label("word")

        await tab.get_by_role("button", name="Start").click()
        await expect(word).to_be_focused()
        await expect(word).to_have_attribute("aria-invalid", "true")
        await word.fill("1000")
        await tab.get_by_role("button", name="Start").click()
        await expect(tab.locator('[data-field="word"] .refusal')).to_contain_text("does not fit its pattern")
        await word.fill("again")
        task = await server.ended(await started(tab))

        assert task["payload"] == {"name": "repeat", "args": {"word": "again"}}
        await expect(tab.locator(".log .open")).to_have_text("again")


async def test_a_pipeline_is_chosen_and_given_its_inputs(tmp_path, visitor):
    async with serving(tmp_path, file=settings(tmp_path)) as server:
        tab = await visitor.tab(f"{server.url}/new?type=pipeline")
        await tab.get_by_label("who").fill("there")

        task = await server.ended(await started(tab))

        assert task["payload"] == {"name": "greet", "inputs": {"who": "there"}}
        assert task["steps"][0]["result"]["message"] == "there"


async def test_an_address_that_is_dropped_is_downloaded(tmp_path, visitor):
    film = make_video(tmp_path).read_bytes()
    async with media_server() as media, serving(tmp_path / "data", "downloads.allow_private=true") as server:
        url = media.add("film.mp4", File(content=film))
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")

        await tab.evaluate(DROP, ["address", url])
        await expect(tab.get_by_label("URL *", exact=True)).to_have_value(url)
        task = await server.ended(await started(tab))

        assert task["state"] == "completed"
        await expect(tab.locator("video")).to_be_visible()


async def test_a_song_that_is_dropped_goes_with_its_task(tmp_path, visitor):
    pytest.importorskip("numpy", reason="numpy IS MISSING, and no song is taken without it")
    async with serving(tmp_path, "queues.default.paused=true") as server:
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")

        await tab.evaluate(DROP, ["song.wav", "RIFF....WAVE" * 50_000])
        await expect(tab.locator(".choice input:checked")).to_have_value("audio")
        task_id = await started(tab)

        assert (await server.task(task_id))["payload"]["file"] == "song.wav"
        files = (await server.get(f"/api/v1/tasks/{task_id}/files"))["files"]
        assert [(file["name"], file["size"]) for file in files] == [("song.wav", 600_000)]


async def test_markdown_that_is_dropped_becomes_a_film(tmp_path, visitor):
    async with serving(tmp_path) as server:
        tab = await visitor.tab(f"{server.url}/")
        await expect(tab.locator("#link")).to_have_text("Live")

        await tab.evaluate(DROP, ["Bees and us.md", "# Bees\n\n- They fly\n"])

        await expect(tab.locator(".choice input:checked")).to_have_value("video")
        await expect(tab.get_by_label("content")).to_have_value("# Bees\n\n- They fly\n")
        await expect(tab.get_by_label("topic")).to_have_value("Bees and us")
