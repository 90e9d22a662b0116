"""A cancel over HTTP ends a command and everything below it, wherever that went."""

from __future__ import annotations

import pytest

from tests.faults.shop import Shop, left_of
from tests.serving import client, process
from tests.wait import until

SPAWNING = {
    "plain": "sleep 600 & ",
    "in a session of its own": "setsid sleep 600 & ",
    "in a session of a session": "setsid sh -c 'setsid sleep 600 & exit 0' & ",
    "deaf": "sh -c 'trap : INT TERM; while :; do sleep 600; done' & ",
    "deaf and away": "setsid sh -c 'trap : INT TERM; while :; do sleep 600; done' & ",
    "without its output": "setsid sleep 600 >/dev/null 2>&1 </dev/null & ",
    "many": "for i in 1 2 3 4 5 6 7 8; do setsid sh -c 'sleep 600 & sleep 600' & done; ",
}
HASTE = ("python.modules=[]", "runner.interrupt_grace_s=0.1", "runner.terminate_grace_s=0.1", "runner.drain_s=0.1")


@pytest.mark.parametrize("parent", ["wait", "trap : INT TERM; while :; do sleep 600; done", "exit 0"])
async def test_a_cancel_leaves_nobody(shop: Shop, parent: str) -> None:
    """`exit 0` is over when the cancel comes; the others have to be stopped."""
    flags = (*HASTE, f"scheduler.slots={len(SPAWNING)}")
    async with process(shop.data, *flags, environment=shop.environment) as server, client(server.url) as speaker:
        ids = []
        for script in SPAWNING.values():
            begin = f"{script}echo begin $PROGRESSHUB_TASK_ID $$ 0 >> {shop.ledger}; {parent}"
            ids.append(await speaker.submit("command", {"name": "shell", "args": {"script": begin}}))
        for task_id in ids:
            await shop.begun(task_id)

        answers = [await speaker.ask("POST", f"/api/v1/tasks/{task_id}/cancel") for task_id in ids]
        tasks = [await speaker.ended(task_id) for task_id in ids]

        for (status, body), task in zip(answers, tasks, strict=True):
            if status == 200:
                assert (task["state"], task["error"]["type"]) == ("archived", "cancelled")
            else:
                assert (status, body["code"], task["state"]) == (409, "CANCEL_FAILED", "completed")
        assert not left_of(server.url)


async def test_the_stream_says_cancelled_when_nobody_is_left(shop: Shop) -> None:
    script = SPAWNING["deaf and away"] + SPAWNING["in a session of a session"] + "wait"
    async with process(shop.data, *HASTE, environment=shop.environment) as server, client(server.url) as speaker:
        task_id = await speaker.submit("command", {"name": "shell", "args": {"script": script}})
        async with speaker.stream(f"/api/v1/tasks/{task_id}/progress/stream") as stream:
            await until(lambda: len(left_of(server.url)) >= 4)

            await speaker.post(f"/api/v1/tasks/{task_id}/cancel")
            events = await stream.rest()

            assert events[-1].name == "done"
            assert events[-1].data["status"] == "cancelled"
            assert not left_of(server.url)
