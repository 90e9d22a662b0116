"""Films as a server makes them: in a worker of its own, watched over a stream, and stopped when that is wanted."""

import pytest

from progresshub.jobs import video
from progresshub.settings import Video
from tests import serving
from tests.films import probe
from tests.wait import until

LONG = "\n\n".join(f"# Part {number}\n\n- A first point\n- A second one\n- And a third" for number in range(40))


@pytest.fixture(autouse=True)
def all_is_installed():
    if lacking := video.missing(Video()):
        pytest.skip(f"{', '.join(lacking)} not installed, so no film can be made")


async def test_a_film_is_made_step_by_step_and_its_files_are_offered(tmp_path):
    async with serving.serving(tmp_path / "data", "video.height=480") as client:
        task_id = await client.submit("video", {"topic": "Tea", "content": "# Tea\n\n- Hot\n- Good"})
        async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            events = await stream.rest()
        task = await client.task(task_id)
        files = await client.get(f"/api/v1/tasks/{task_id}/files")

    assert task["state"] == "completed", task
    assert [(step["name"], step["state"]) for step in task["steps"]] == [(name, "completed") for name in video.STEPS]
    percentages = [event.data["percentage"] for event in events if event.name == "progress"]
    assert percentages == sorted(percentages)
    assert {10, 20, 30, 50, 85, 100} <= set(percentages)
    assert {file["name"] for file in files["files"]} == set(task["result"]["files"])
    assert probe(tmp_path / "data" / "files" / task_id / "Tea.mp4")["chapters"]


async def test_one_that_is_cancelled_half_way_leaves_nothing(tmp_path):
    async with serving.serving(tmp_path / "data") as client:
        task_id = await client.submit("video", {"topic": "Tea", "content": LONG})
        async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            while (event := await stream.next()) and "slide 2/" not in event.data["message"]:
                pass
            await client.post(f"/api/v1/tasks/{task_id}/cancel")
        task = await client.ended(task_id)

        assert "cancelled" in task["last_err"]
        folder = tmp_path / "data" / "files" / task_id
        await until(lambda: not folder.exists() or not list(folder.iterdir()))


async def test_what_can_not_be_made_is_refused_before_there_is_a_task(tmp_path):
    async with serving.serving(tmp_path / "data") as client:
        task = {"type": "video", "payload": {"topic": "Tea"}}
        status, body = await client.ask("POST", "/api/v1/tasks", json=task)

    assert status == 400
    assert "video.llm_url" in body["error"]


async def test_without_its_programs_the_rest_of_the_server_works(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "missing", lambda settings: ["progresshub[video]", "espeak-ng"])
    pipeline = tmp_path / "config.toml"
    pipeline.write_text('[[pipelines.show.steps]]\nname = "a"\ntype = "video"\npayload = {topic = "T", content = "#"}')
    async with serving.serving(tmp_path / "data", file=pipeline) as client:
        task = {"type": "video", "payload": {"topic": "Tea", "content": "# Tea"}}
        status, body = await client.ask("POST", "/api/v1/tasks", json=task)
        other = await client.ended(await client.submit("demo", {"count": 1, "delay_ms": 0}))

    assert status == 503
    assert "progresshub[video], espeak-ng" in body["error"]
    assert other["state"] == "completed"
