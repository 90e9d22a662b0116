"""The kind `pipeline` on a real server: what is refused, what runs, what is kept when it goes on."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from progresshub.config import load, template
from progresshub.errors import InvalidConfig, InvalidPayload
from progresshub.jobs import audio, demo, external, pipeline
from progresshub.jobs.command import kind as command_kind
from progresshub.kinds import Kind
from progresshub.settings import Command, Pipeline, PipelineStep
from tests.media import File, make_video, media_server
from tests.serving import Client, client, command_file, process, serving

QUICK = {"count": 0}
NAMED = """
[pipelines.greet]
inputs = {name = "you"}
summary = "Says hello"
[[pipelines.greet.steps]]
name = "first"
type = "demo"
payload = {message = "hello ${inputs.name}", count = 0}
[[pipelines.greet.steps]]
name = "second"
type = "demo"
payload = {message = "${steps.first.result.message} again", count = 0}
"""
FUNCTIONS = """
from progresshub import pipeline, task

@pipeline
def echoes(words: list[str]) -> list[dict]:
    "Says each word."
    return [{"name": f"say{n}", "type": "say", "payload": {"word": word}, "needs": []} for n, word in enumerate(words)]

@pipeline
def broken(why: str = "") -> list[dict]:
    return [{"name": "a", "type": "nothing"}]

@pipeline
def endless() -> list[dict]:
    return [{"name": "again", "type": "pipeline", "payload": {"name": "endless"}}]

@task
def say(word: str) -> str:
    print(word)
    return word.upper()
"""


def step(name: str, kind: str = "demo", payload: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "payload": QUICK if payload is None else payload, **more}


def states(task: Any) -> dict[str, str]:
    return {one["name"]: one["state"] for one in task["steps"]}


async def refusal(client: Client, payload: dict[str, Any]) -> str:
    status, answer = await client.ask("POST", "/api/v1/tasks", json={"type": "pipeline", "payload": payload})
    assert (status, answer["code"]) == (400, "INVALID_PAYLOAD")
    return str(answer["details"]["reason"])


@pytest.fixture
def kinds() -> dict[str, Kind]:
    found = [
        demo.kind(),
        external.kind(),
        command_kind({"say": Command(argv=("echo", "{word}"), params={"word": "x+"})}),
    ]
    return {kind.name: kind for kind in found}


def made(kinds: dict[str, Kind], *steps: PipelineStep) -> Kind:
    kinds["pipeline"] = pipeline.kind({"p": Pipeline(steps=steps)} if steps else {}, {}, kinds, lambda name: {})
    return kinds["pipeline"]


def test_its_schema_says_what_each_pipeline_of_the_settings_is_given(kinds: dict[str, Kind]) -> None:
    greet = PipelineStep(name="greet", type="demo", payload={"message": "${inputs.who} ${inputs.how}"})
    broken = PipelineStep(name="broken", type="demo", payload={"message": "${inputs."})
    named = {"p": Pipeline(steps=(greet,), inputs={"how": "well"}), "q": Pipeline(steps=(broken,))}

    offer, wrong, inline = pipeline.kind(named, {}, kinds, lambda name: {}).schema["oneOf"]

    assert (offer["title"], offer["description"]) == ("p", "greet")
    assert offer["properties"]["inputs"]["properties"] == {"how": {"default": "well"}, "who": {}}
    assert offer["properties"]["inputs"]["required"] == ["who"]
    assert wrong["properties"]["inputs"]["properties"] == {}
    assert inline["title"] == "Inline"


def test_direct_commands_need_the_scope_unless_the_operator_wrote_them_out(kinds: dict[str, Kind]) -> None:
    whole = PipelineStep(name="a", type="command", payload={"argv": ["echo", "hi"]})
    filled = PipelineStep(name="a", type="command", payload={"argv": ["echo", "${inputs.word}"]})
    template = PipelineStep(name="a", type="command", payload={"name": "say", "args": {"word": "${inputs.word}"}})
    inline = {"steps": [step("a", "command", {"argv": ["true"]})]}

    assert not made(kinds, whole).needs_command_scope({"name": "p"})
    assert made(kinds, filled).needs_command_scope({"name": "p", "inputs": {"word": "x"}})
    assert not made(kinds, template).needs_command_scope({"name": "p", "inputs": {"word": "x"}})
    assert made(kinds).needs_command_scope(inline)
    assert made(kinds).needs_command_scope({"steps": [step("b", "pipeline", inline)]})
    assert made(kinds, PipelineStep(name="b", type="pipeline", payload=inline)).needs_command_scope({"name": "p"})
    assert not made(kinds).needs_command_scope({"steps": "nonsense"})


def test_steps_can_not_come_in_by_a_reference(kinds: dict[str, Kind]) -> None:
    smuggled = {"steps": "${inputs.steps}", "inputs": {}}
    kind = made(kinds, PipelineStep(name="b", type="pipeline", payload=smuggled))

    with pytest.raises(InvalidPayload, match="steps: expected array"):
        kind.check({"name": "p", "inputs": {"steps": [step("a", "command", {"argv": ["true"]})]}})


async def test_what_can_not_be_done_is_refused_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        reasons = [
            await refusal(client, {"steps": [step("a", needs=["b"]), step("b", needs=["a"])]}),
            await refusal(client, {"steps": [step("a", "nothing")]}),
            await refusal(client, {"steps": [step("a", "external")]}),
            await refusal(client, {"steps": [step("a", payload={"count": -1})]}),
            await refusal(client, {"steps": [step("a", payload={"message": "${inputs.x}"})]}),
            await refusal(client, {"steps": [{"name": "a"}]}),
            await refusal(client, {"steps": []}),
            await refusal(client, {"name": "nothing"}),
            await refusal(client, {"steps": [step("a", "pipeline", {"steps": [step("b", "nothing")]})]}),
        ]

    assert reasons == [
        "steps: they wait for each other in a circle: a -> b -> a",
        "steps.a.type: there is no task type nothing",
        "steps.a.type: nothing can be run for a task of type external",
        "steps.a.payload: count: expected int >= 0",
        "steps.a.payload: there is no inputs.x",
        "steps[0].type is missing",
        "steps: expected array of length >= 1",
        "there is no pipeline nothing",
        "steps.a.payload: steps.b.type: there is no task type nothing",
    ]


async def test_a_pipeline_of_the_settings_is_done_by_name(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(NAMED)
    async with serving(tmp_path / "data", file=file) as client:
        task = await client.ended(await client.submit("pipeline", {"name": "greet", "inputs": {"name": "all"}}))
        unknown = await refusal(client, {"name": "greet", "inputs": {"nam": "all"}})
        again = await client.ended(await client.submit("pipeline", {"name": "greet"}))

    assert task["title"] == "greet"
    assert task["result"]["second"]["message"] == "hello all again"
    assert unknown == "inputs: there is no input nam"
    assert again["result"]["first"]["message"] == "hello you"
    assert [one["weight"] for one in task["steps"]] == [1.0, 1.0]


async def test_usual_durations_are_the_weights_of_the_next_run_and_outlive_the_server(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(NAMED.replace("count = 0", "count = 1, delay_ms = 150", 1))
    async with serving(tmp_path / "data", file=file) as client:
        await client.ended(await client.submit("pipeline", {"name": "greet"}))
    async with serving(tmp_path / "data", file=file) as client:
        task = await client.ended(await client.submit("pipeline", {"name": "greet"}))

    first, second = (one["weight"] for one in task["steps"])
    assert first >= 150
    assert second < first


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ('[{name = "a", type = "nothing"}]', "steps.a.type: there is no task type nothing"),
        ('[{name = "a", type = "demo", needs = ["a"]}]', "steps: they wait for each other in a circle: a -> a"),
        ('[{name = "a", type = "demo", payload = {count = "x"}}]', "steps.a.payload: count: expected int, got str"),
        ('[{name = "a", type = "pipeline", payload = {name = "p"}}]', "does one contain itself?"),
    ],
)
async def test_settings_that_can_never_work_keep_the_server_from_starting(
    tmp_path: Path, steps: str, reason: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[pipelines.p]\nsteps = {steps}\n")

    with pytest.raises(InvalidConfig, match=r"^pipelines\.p: ") as refused:
        async with serving(tmp_path / "data", file=file):
            pass

    assert reason in refused.value.message


async def test_a_step_whose_packages_are_missing_is_refused_only_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "missing", lambda: "install something")
    file = tmp_path / "config.toml"
    file.write_text('[pipelines.p]\nsteps = [{name = "a", type = "audio", payload = {file = "song.mp3"}}]\n')

    async with serving(tmp_path / "data", file=file) as client:
        status, body = await client.ask("POST", "/api/v1/tasks", json={"type": "pipeline", "payload": {"name": "p"}})

    assert (status, body["error"]) == (503, "Not just now: install something.")


def test_a_step_that_is_written_wrongly_is_told_by_its_place(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[pipelines.p]\nsteps = [{name = "a", type = "demo", on_failure = "panic"}]\n')

    with pytest.raises(InvalidConfig, match=r"pipelines\.p\.steps .*Invalid enum value 'panic'.*on_failure"):
        load(file, {})


async def test_a_registered_function_makes_the_steps(tmp_path: Path) -> None:
    (tmp_path / "chorus.py").write_text(FUNCTIONS)
    flags = ('python.modules=["chorus"]', f'python.path=["{tmp_path}"]')
    async with serving(tmp_path / "data", *flags) as client:
        task = await client.ended(await client.submit("pipeline", {"name": "echoes", "inputs": {"words": ["a", "b"]}}))
        async with client.session.get(f"{client.url}/api/v1/tasks/{task['id']}/logs") as response:
            log = await response.text()
        wrong = await refusal(client, {"name": "echoes", "inputs": {"words": 7}})
        broken = await client.ended(await client.submit("pipeline", {"name": "broken"}))
        endless = await client.ended(await client.submit("pipeline", {"name": "endless"}))
        kinds = await client.ask("POST", "/api/v1/tasks", json={"type": "echoes", "payload": {}})

    assert task["result"] == {"say0": "A", "say1": "B"}
    assert sorted(log.split()) == ["a", "b"]
    assert wrong.startswith("words")
    assert "there is no task type nothing" in broken["last_err"]
    assert "more than 8 deep" in endless["last_err"]
    assert kinds[0] == 400


async def test_a_retry_by_hand_goes_on_from_the_step_that_failed(tmp_path: Path) -> None:
    count = "import pathlib; p = pathlib.Path('count'); p.write_text(p.read_text() + 'x' if p.exists() else 'x')"
    fail_once = "import pathlib, sys; p = pathlib.Path('once'); e = p.exists(); p.touch(); sys.exit(0 if e else 3)"
    file = command_file(tmp_path, count=count, once=fail_once)
    async with serving(tmp_path / "data", file=file) as client:
        steps = [
            step("count", "command", {"name": "count"}),
            step("once", "command", {"name": "once"}),
            step("last", payload={"message": "after", "count": 0}),
        ]
        first = await client.ended(await client.submit("pipeline", {"steps": steps}))
        retried = await client.post(f"/api/v1/tasks/{first['id']}/retry", status=201)
        second = await client.ended(retried["task_id"])
        files = tmp_path / "data" / "files" / second["id"]
        counted = (files / "count").read_text()

    assert (first["state"], first["error"]["details"]["step"]) == ("archived", "once")
    assert states(first) == {"count": "completed", "once": "failed", "last": "waiting"}
    assert (second["state"], second["retry_of"]) == ("completed", first["id"])
    assert counted == "x"
    assert second["steps"][0]["finished_at"] == first["steps"][0]["finished_at"]


async def test_the_next_attempt_goes_on_from_the_step_that_failed(tmp_path: Path) -> None:
    count = "import pathlib; p = pathlib.Path('count'); p.write_text(p.read_text() + 'x' if p.exists() else 'x')"
    fail_once = "import pathlib, sys; p = pathlib.Path('once'); e = p.exists(); p.touch(); sys.exit(0 if e else 3)"
    file = command_file(tmp_path, count=count, once=fail_once)
    async with serving(tmp_path / "data", file=file) as client:
        steps = [step("count", "command", {"name": "count"}), step("once", "command", {"name": "once"})]
        task = await client.ended(await client.submit("pipeline", {"steps": steps}, max_retries=1))
        counted = (tmp_path / "data" / "files" / task["id"] / "count").read_text()

    assert (task["state"], task["attempt"], counted) == ("completed", 2, "x")


async def test_after_a_crash_finished_steps_are_kept_and_the_rest_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = command_file(
        tmp_path,
        count="import pathlib; p = pathlib.Path('count'); p.write_text(p.read_text() + 'x' if p.exists() else 'x')",
        wait="import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)",
    )
    steps = [step("count", "command", {"name": "count"}), step("wait", "command", {"name": "wait"})]
    config = {"PROGRESSHUB_CONFIG": str(file)}
    async with process(data, environment=config) as server, client(server.url) as speaker:
        task_id = await speaker.submit("pipeline", {"steps": steps})
        async with speaker.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            while (event := await stream.next()) is not None and event.data["stage"] != "wait":
                continue
        server.kill()
        await server.gone()
    (data / "files" / task_id / "go").touch()

    async with process(data, environment=config) as server, client(server.url) as speaker:
        task = await speaker.ended(task_id)

    assert (task["state"], task["crashes"]) == ("completed", 1)
    assert (data / "files" / task_id / "count").read_text() == "x"


async def test_a_server_that_stops_and_comes_again_goes_on_where_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = command_file(
        tmp_path,
        count="import pathlib; p = pathlib.Path('count'); p.write_text(p.read_text() + 'x' if p.exists() else 'x')",
        wait="import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)",
    )
    steps = [step("count", "command", {"name": "count"}), step("wait", "command", {"name": "wait"})]
    async with serving(data, "runner.interrupt_grace_s=0.1", file=file) as client:
        task_id = await client.submit("pipeline", {"steps": steps})
        async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            while (event := await stream.next()) is not None and event.data["stage"] != "wait":
                continue
    (data / "files" / task_id / "go").touch()

    async with serving(data, file=file) as client:
        task = await client.ended(task_id)

    assert (task["state"], task["attempt"], task.get("crashes", 0)) == ("completed", 2, 0)
    assert (data / "files" / task_id / "count").read_text() == "x"


async def test_a_cancel_reaches_every_step_that_runs(tmp_path: Path) -> None:
    file = command_file(tmp_path, wait="import time, pathlib; print('up', flush=True); time.sleep(600)")
    async with serving(tmp_path / "data", "runner.interrupt_grace_s=0.1", file=file) as client:
        waiting = [step(name, "command", {"name": "wait"}, needs=[]) for name in "ab"]
        task_id = await client.submit("pipeline", {"steps": [*waiting, step("c")]})
        async with client.stream(f"/api/v1/tasks/{task_id}/progress/stream", start_id="0") as stream:
            for _ in range(2):
                await stream.until("progress")
            while list(states(await client.task(task_id)).values()).count("running") < 2:
                await stream.until("progress")
            await client.post(f"/api/v1/tasks/{task_id}/cancel")
            await stream.rest()
        task = await client.task(task_id)

    assert task["error"]["type"] == "cancelled"
    assert states(task) == {"a": "waiting", "b": "waiting", "c": "waiting"}


async def test_a_step_has_the_time_limit_of_its_kind_or_its_own(tmp_path: Path) -> None:
    file = command_file(tmp_path, wait="import time; time.sleep(600)")
    async with serving(tmp_path / "data", "runner.interrupt_grace_s=0.1", file=file) as client:
        slow = step("slow", "command", {"name": "wait"}, timeout_s=0.1)
        task = await client.ended(await client.submit("pipeline", {"steps": [slow]}))

    assert task["last_err"] == "step slow failed: it took longer than 0.1 s"


async def test_a_pipeline_within_a_pipeline_is_one_step_of_it(tmp_path: Path) -> None:
    inner = {"steps": [step("x", payload={"message": "${inputs.word}", "count": 0})], "inputs": {"word": "${inputs.w}"}}
    async with serving(tmp_path) as client:
        steps = [
            step("in", "pipeline", inner),
            step("out", payload={"message": "${steps.in.result.x.message}", "count": 0}),
        ]
        task = await client.ended(await client.submit("pipeline", {"steps": steps, "inputs": {"w": "deep"}}))
        listed = await client.get("/api/v1/tasks")

    assert states(task) == {"in": "completed", "out": "completed"}
    assert task["result"]["out"]["message"] == "deep"
    assert len(listed["tasks"]) == 1


async def test_direct_commands_in_steps_need_a_token_of_that_scope(tmp_path: Path) -> None:
    payload = {"steps": [step("a", "command", {"argv": [sys.executable, "-c", ""]})]}
    async with serving(tmp_path) as anybody:
        status, answer = await anybody.ask("POST", "/api/v1/tasks", json={"type": "pipeline", "payload": payload})

        async with client(anybody.url, (tmp_path / "token").read_text().strip()) as owner:
            task = await owner.ended(await owner.submit("pipeline", payload))

    assert (status, answer["code"]) == (403, "FORBIDDEN")
    assert task["state"] == "completed"


async def test_the_example_of_the_settings_makes_a_film_small(tmp_path: Path) -> None:
    film = make_video(tmp_path).read_bytes()
    tables = re.findall(r"^# (\[\[?(?:commands|pipelines)\..*\n(?:# .*\n)*)", template(), re.MULTILINE)
    file = tmp_path / "config.toml"
    file.write_text(re.sub("^# ", "", "".join(tables), flags=re.MULTILINE))
    async with (
        media_server() as media,
        serving(tmp_path / "data", "downloads.allow_private=true", file=file) as client,
    ):
        inputs = {"url": media.add("film.mp4", File(content=film))}
        task = await client.ended(await client.submit("pipeline", {"name": "transcode", "inputs": inputs}))
        files = await client.get(f"/api/v1/tasks/{task['id']}/files")

    assert task["state"] == "completed", task
    assert set(states(task).values()) == {"completed"}
    assert [one["name"] for one in files["files"]] == ["film.mp4", "film.mp4.jpg", "small.mp4"]
