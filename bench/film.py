"""A film of slides: `python -m bench.film [--slides N] [--runs N]`.

From the submission to the first report and to the finished film, through the server, cold and warm; what each
step takes of it, and what that is for a slide and for a minute of film.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bench.spine import server, session, show

SLIDE = """\
# {number}. What is done with the leaves

- The youngest ones are picked by hand in the morning
- They wither for a day, and lose half of their water
- Rolling breaks the cells, so that the air can reach the juice
"""


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--slides", type=int, default=10)
    arguments.add_argument("--runs", type=int, default=5)
    given = arguments.parse_args()
    content = "\n".join(SLIDE.format(number=number) for number in range(1, given.slides + 1))
    with tempfile.TemporaryDirectory(prefix="progresshub-bench-") as folder:
        async with server(Path(folder) / "data") as url, session() as client:
            firsts, wholes, results = [], [], list[dict[str, Any]]()
            for _ in range(given.runs + 1):
                first_s, whole_s, result = await film(client, url, content)
                firsts.append(first_s)
                wholes.append(whole_s)
                results.append(result)
    show("POST -> first report, the first film of a server", firsts[:1])
    show("POST -> first report, later ones", firsts[1:])
    show("POST -> film", wholes[1:])
    show("  for each slide", [whole_s / given.slides for whole_s in wholes[1:]])
    show("  for each minute of film", [60 * s / r["duration_s"] for s, r in zip(wholes[1:], results[1:], strict=True)])
    for step in results[0]["timings_s"]:
        show(f"  {step}", [result["timings_s"][step] for result in results[1:]])
    print(f"{results[0]['duration_s']:.0f} s of film, {results[0]['size_bytes'] / 1e6:.1f} MB")


async def film(client: aiohttp.ClientSession, url: str, content: str) -> tuple[float, float, dict[str, Any]]:
    """Seconds to the first report and to the end, and the result."""
    begun_s = time.perf_counter()
    task = {"type": "video", "payload": {"topic": "Tea", "content": content}}
    async with client.post(f"{url}/api/v1/tasks", json=task) as response:
        task_id = (await response.json())["task_id"]
    first_s = 0.0
    async with client.get(f"{url}/api/v1/tasks/{task_id}/progress/stream?start_id=0") as stream:
        async for line in stream.content:
            told = orjson.loads(line[6:]) if line.startswith(b"data: ") else {}
            if not first_s and told.get("stage") == "generating_content":
                first_s = time.perf_counter() - begun_s
    whole_s = time.perf_counter() - begun_s
    async with client.get(f"{url}/api/v1/tasks/{task_id}") as response:
        return first_s, whole_s, (await response.json())["result"]


if __name__ == "__main__":
    asyncio.run(main())
