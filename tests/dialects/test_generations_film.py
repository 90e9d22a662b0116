"""A real video over the generations dialect: told from before its beginning, fetched, played, and made again."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import pytest_asyncio

from tests.browser import launched, visiting
from tests.dialects.studio import ASYNC, all_said, need_tools, said
from tests.models import Reply, deck, language_model
from tests.serving import Client, process
from tests.serving import client as speaking
from tests.wait import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOPIC = "How tea is made: what to do/buy"
ID = "How_tea_is_made_what_to_do_bu"
IN_BROWSERS = "How_tea_is_made_what_to_dobu"
SLIDES = 5
TEXT = "\n\n".join(f"# Part {number}\n\n- Take a cup\n- Drink it" for number in range(1, SLIDES + 1))
FAST = ("video.height=480", "generations.rerun_wait_s=0.2")

CONNECTED = ("connected", 0, "📡 Connected to progress stream")
END = [("completed", 100, "✅ Video generation complete!"), ("done", 100, "✅ Stream ended")]
MESSAGES = {
    "started": r"🚀 Starting generation\.\.\.",
    "generating_content": r"📝 Generating presentation content\.\.\.",
    "generating_scripts": r"📜 Generating voice scripts\.\.\.",
    "generating_audio": r"🎤 Generating audio for slide \d/5\.\.\.|✅ Generated audio for slide \d/5 \(\d+\.\ds\)",
    "combining_audio": ".+",
    "generating_media": ".+",
    "generating_animation": ".+",
    "generating_slide": ".+",
    "composing_video": r"🎞️ Composing final video with audio\.\.\.|✅ .+",
}
MILESTONES = {
    "started": (0, 0),
    "generating_content": (10, 10),
    "generating_scripts": (20, 20),
    "generating_audio": (30, 49),
    "combining_audio": (49, 49),
    "generating_media": (50, 80),
    "generating_animation": (50, 80),
    "generating_slide": (50, 80),
    "composing_video": (85, 95),
}


class Premiere(NamedTuple):
    """A video that was just made, and what three watchers heard: from before it began, meanwhile, and after it."""

    client: Client
    answer: dict[str, Any]
    before: list[tuple[str, int, str]]
    during: list[tuple[str, int, str]]
    after: list[tuple[str, int, str]]

    @property
    def url(self) -> str:
        return self.client.url + str(self.answer["video_path"])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def premiere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Premiere]:
    need_tools()
    data = tmp_path_factory.mktemp("film") / "data"
    async with process(data, *FAST) as server, speaking(server.url) as client:
        before: list[tuple[str, int, str]] = []
        asked = {"topic": TOPIC, "content": TEXT}
        async with client.stream(f"/api/progress/{IN_BROWSERS}") as stream:
            before += [one for one in [await said(stream), await said(stream)] if one]
            posting = asyncio.create_task(client.session.post(f"{client.url}/api/generate", json=asked))
            while before[-1][0] != "generating_audio":
                before += [one for one in [await said(stream)] if one]
            async with client.stream(f"/api/progress/{ID}") as late:
                before += await all_said(stream)
                during = await all_said(late)
        async with await posting as response:
            assert response.status == 200, await response.text()
            answer = await response.json()
        async with client.stream(f"/api/progress/{ID}") as stream:
            after = await all_said(stream)
        yield Premiere(client, answer, before, during, after)


async def probed(path: Path) -> Any:
    """What ffprobe says of a file."""
    shown = ("-show_format", "-show_streams", "-show_chapters", "-of", "json")
    prober = await asyncio.create_subprocess_exec(
        "ffprobe", "-v", "error", *shown, path, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await prober.communicate()
    return orjson.loads(out)


async def test_every_message_is_one_that_clients_know(premiere: Premiere) -> None:
    first, waiting, *told = premiere.before
    course = told[: -len(END)]
    statuses = list(dict.fromkeys(status for status, _, _ in course))

    assert (first, waiting[0]) == (CONNECTED, "waiting")
    assert told[-len(END) :] == END
    assert [(said, MESSAGES[said[0]]) for said in course if not re.fullmatch(MESSAGES[said[0]], said[2])] == []
    assert [said for said in course if not MILESTONES[said[0]][0] <= said[1] <= MILESTONES[said[0]][1]] == []
    assert [percent for _, percent, _ in course] == sorted(percent for _, percent, _ in course)
    assert statuses[:5] == [
        "started",
        "generating_content",
        "generating_scripts",
        "generating_audio",
        "combining_audio",
    ]
    assert statuses[-1] == "composing_video"


async def test_every_slide_is_told_of(premiere: Premiere) -> None:
    spoken = {message for status, _, message in premiere.before if status == "generating_audio"}
    drawn = {
        percent for status, percent, _ in premiere.before if status in ("generating_animation", "generating_slide")
    }

    assert {f"🎤 Generating audio for slide {number}/5..." for number in range(1, 6)} <= spoken
    assert len([message for message in spoken if message.startswith("✅")]) == SLIDES
    assert len(drawn) >= SLIDES


async def test_one_who_comes_meanwhile_or_after_hears_the_rest(premiere: Premiere) -> None:
    assert premiere.during[0] == CONNECTED
    assert premiere.during[1][0] not in ("waiting", "started")
    assert premiere.during[-len(END) :] == END
    assert [status for status, _, _ in premiere.after] == ["connected", "waiting", "completed", "done"]


async def test_the_video_is_what_the_script_says(premiere: Premiere, tmp_path: Path) -> None:
    answer = premiere.answer
    async with premiere.client.session.get(premiere.url) as response:
        (tmp_path / "film.mp4").write_bytes(await response.read())
    probe = await probed(tmp_path / "film.mp4")

    assert {stream["codec_type"] for stream in probe["streams"]} >= {"video", "audio"}
    assert len(probe["chapters"]) == SLIDES
    assert float(probe["format"]["duration"]) == pytest.approx(answer["script_data"]["total_duration"], rel=0.05)
    assert answer["generation_id"] == ID
    assert answer["content_data"] == await premiere.client.get(f"/api/content/{ID}")
    assert answer["script_data"] == await premiere.client.get(f"/api/script/{IN_BROWSERS}")
    assert [slide["title"] for slide in answer["content_data"]["slides"]] == [f"Part {n}" for n in range(1, 6)]


async def test_a_browser_follows_the_stream_and_plays_the_video(premiere: Premiere) -> None:
    follow = """asked => new Promise((resolve, reject) => {
        const heard = [], source = new EventSource(`/api/progress/${asked.topic}`);
        let answer = null;
        source.onmessage = async (event) => {
            const { status } = JSON.parse(event.data);
            if (heard.at(-1) !== status) heard.push(status);
            if (status === "waiting" && answer === null) {
                const headers = { "Content-Type": "application/json" };
                answer = fetch("/api/generate", { method: "POST", headers, body: JSON.stringify(asked) });
            }
            if (status === "done") {
                source.close();
                resolve([heard, await (await answer).json()]);
            }
        };
        source.onerror = () => reject(new Error(`the stream broke after ${heard}`));
    })"""
    play = """path => new Promise((resolve, reject) => {
        const film = document.createElement("video");
        film.muted = true;
        film.src = path;
        film.onerror = () => reject(new Error(film.error.message));
        film.onloadedmetadata = () => { film.currentTime = film.duration / 2; };
        film.onseeked = () => film.play();
        film.ontimeupdate = () => {
            if (film.currentTime > film.duration / 2 + 0.1) {
                resolve([film.duration, film.videoHeight, film.seekable.end(0)]);
            }
        };
        document.body.append(film);
    })"""
    async with launched("--autoplay-policy=no-user-gesture-required") as browser, visiting(browser) as visitor:
        tab = await visitor.tab(premiere.client.url)
        heard, answer = await tab.evaluate(follow, {"topic": "Browsing", "content": TEXT})
        duration_s, height, seekable_s = await tab.evaluate(play, answer["video_path"])

    assert heard[:5] == ["connected", "waiting", "started", "generating_content", "generating_scripts"]
    assert heard[-3:] == ["composing_video", "completed", "done"]
    assert {"generating_audio", "combining_audio", "generating_media", "generating_animation"} < set(heard)
    assert duration_s == pytest.approx(answer["script_data"]["total_duration"], rel=0.05)
    assert (height, seekable_s) == (480, duration_s)


async def test_a_topic_alone_is_written_by_a_model_and_told_as_it_is_written(tmp_path: Path) -> None:
    need_tools()
    unended = threading.Event()
    with language_model(Reply(deck(2), unended=unended)) as model:
        named = (f"video.llm_url={model.url}", "video.llm_model=small")
        async with process(tmp_path / "data", *FAST, *named) as server, speaking(server.url) as client:
            asked = {"topic": "Tea", "num_slides": 2, "language": "german"}
            async with client.stream("/api/progress/Tea") as stream:
                posting = asyncio.create_task(client.post("/api/generate", asked))
                while await said(stream) != ("generating_content", 19, "📝 Writing slide 2/2..."):
                    assert not posting.done()
                unended.set()
                heard = await all_said(stream)
            made = await posting

    assert [slide["title"] for slide in made["content_data"]["slides"]] == ["Part 1", "Part 2"]
    assert heard[-len(END) :] == END
    assert "german" in model.asked[0]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply("no such model", status=404), "the language model's server answered 404: no such model"),
        (Reply(deck(1)), "the language model's answer does not fit, asked twice: there are 1 slides, not 2"),
    ],
    ids=["failing", "lying"],
)
async def test_a_model_that_fails_or_lies_is_an_error_with_its_reason(reply: Reply, why: str, tmp_path: Path) -> None:
    need_tools()
    with language_model(reply) as model:
        named = (f"video.llm_url={model.url}", "video.llm_model=small")
        async with process(tmp_path / "data", *FAST, *named) as server, speaking(server.url) as client:
            async with client.stream("/api/progress/Tea") as stream:
                posting = asyncio.create_task(client.post("/api/generate", {"topic": "Tea", "num_slides": 2}, 500))
                heard = await all_said(stream)
            refused = await posting

    assert refused == {"detail": f"Video generation failed: {why}."}
    assert heard[-2:] == [("error", 0, f"❌ Error: {why}"), END[-1]]


async def test_a_video_outlives_the_server_and_its_runs_take_turns(tmp_path: Path) -> None:
    need_tools()
    asked = {"topic": "Tea", "content": "# Tea\n\n- Hot"}
    data = tmp_path / "data"
    async with process(data, *FAST) as server, speaking(server.url) as client:
        made = await client.post("/api/generate", asked)
        server.kill()
        await server.gone()

    async with process(data, *FAST) as server, speaking(server.url) as client:
        again = await client.get("/api/status/Tea"), await client.get("/api/content/Tea")
        async with client.session.get(client.url + made["video_path"], headers={"Range": "bytes=4-7"}) as response:
            part = response.status, await response.read()
        for _ in range(2):
            await client.post("/api/generate", asked, 202, headers=ASYNC)
        async with client.stream("/api/progress/Tea") as stream:
            heard = await all_said(stream)
        runs = (await client.get("/api/v1/tasks"))["tasks"]
        second, first = [await client.task(run["id"]) for run in runs[:2]]

    assert (again[0]["status"], again[1]) == ("completed", made["content_data"])
    assert part == (206, b"ftyp")
    assert heard[-len(END) :] == END
    assert len(runs) == 3
    assert (first["state"], second["state"]) == ("completed", "completed")
    assert second["started_at"] >= first["finished_at"]
