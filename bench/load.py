"""The load client, pinned to its core."""

from __future__ import annotations

import asyncio
import json
import tempfile

from bench.contestants import Target
from bench.environment import NATIVE
from bench.machine import CLIENT_CORE

LONGEST_S = 120.0


async def load(target: Target, **options: float | bool) -> dict[str, float]:
    """What it tells; options are those at the head of `native/load.c`."""
    with tempfile.NamedTemporaryFile("w", suffix=".topics") as topics:
        topics.write("".join(f"{watched} {published}\n" for watched, published in target.topics))
        topics.flush()
        words: list[str] = []
        for name, value in options.items():
            words.append(f"--{name.replace('_', '-')}")
            words += [] if value is True else [str(value)]
        command = [
            *("taskset", "-c", str(CLIENT_CORE), str(NATIVE / "load"), "--port", str(target.port)),
            *("--topics", topics.name, "--body", target.body, "--server", str(target.pid), "--mark", target.mark),
            *(["--ws"] if target.ws else []),
            *(["--go", target.go] if target.go else []),
            *words,
        ]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                told, complaint = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise RuntimeError(complaint.decode(errors="replace").strip() or "the load client failed")
        figures: dict[str, float] = json.loads(told)
        if figures["refused"]:
            raise RuntimeError(f"{figures['refused']} publishes were refused: {complaint.decode(errors='replace')}")
        return figures
