"""A small server to be killed: `host DATA PATH SCRIPT…` runs each script as a job, and a warm call.

Once all have told their number it prints `{"jobs": […], "children": […]}`, and at a line of input it ends well.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from progresshub.kinds import Launch
from progresshub.processes import proc
from progresshub.processes.runner import Runner, RunnerSettings, Setup, WarmSettings
from tests.processes.kit import Work, call, sh


async def main(data: Path, path: str, scripts: list[str]) -> None:
    graces = RunnerSettings(interrupt_grace_s=0.05, terminate_grace_s=0.05, drain_s=0.05)
    runner = Runner(graces, WarmSettings(), pools={"python": Setup(modules=("somebodys",), path=(path,))})
    await runner.start()
    launches: dict[str, list[Launch]] = {"left": [sh(script) for script in scripts], "waiting": [call("stubborn")]}
    works = [(Work(data), word, launch) for word, some in launches.items() for launch in some]
    async with asyncio.TaskGroup() as group:
        for work, _, launch in works:
            group.create_task(work.run(runner, launch))
        told = [(await work.says(word)).metadata or {} for work, word, _ in works]
        print(json.dumps({"jobs": [each["pid"] for each in told], "children": proc.children()}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for work, _, _ in works:
            work.stop.request()
    await runner.close()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
