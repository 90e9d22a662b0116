"""Who fans out: each contestant starts a server and says where its topics are watched and published to.

A peer's event is 150 bytes of JSON that come out as they went in; ours is a report that goes through
the hub, the bus and a dialect, and comes out as some 300 bytes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.environment import NATIVE, NCHAN, NODE_MODULES, PYTHON, installed, program
from bench.hub import hub
from bench.machine import CLIENT_CORE, SERVER_CORE, family, free_port, running

PEERS = Path(__file__).parent / "peers"
EVENT = (
    '{"id":"job-00001","seq":@n,"status":"downloading","percent":42.5,"speed":1234567,"eta":3600,'
    '"file":"a-film-of-some-length.mp4","at":"ts=@t"}'
)
REPORT = '{"current":@n,"total":100000000,"unit":"bytes","stage":"downloading","metadata":{"at":"ts=@t"}}'
REPORTING_S = 5
REPORTS_PER_S = 300
STARTING_S = 2.0
PROGRESS_WS = '"type":"progress"'
ROOM = "streams.high_water_bytes=1000000000"
"""Nobody counts as slow, so no progress is conflated: each must arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server that runs: `topics` are pairs of paths, to watch and to publish to."""

    port: int
    pid: int
    topics: list[tuple[str, str]]
    body: str = EVENT
    ws: bool = False
    mark: str = "ts="
    go: str = ""


Start = Callable[[int], AbstractAsyncContextManager[Target]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """`start` takes the number of topics; `speed` is how many events it is given beside the fastest."""

    name: str
    start: Start
    speed: float = 1.0
    missing: str = ""


def ours(*, ws: bool = False, settings: tuple[str, ...] = (ROOM,)) -> Start:
    @asynccontextmanager
    async def start(topics: int) -> AsyncIterator[Target]:
        async with hub("server.max_connections=20000", *settings, core=SERVER_CORE) as server:
            ids = [await server.submit("external", {}) for _ in range(topics)]
            stage = json.dumps({"stage": "downloading", "percent": 1})
            for task_id in ids:
                await server.post(f"/api/v1/tasks/{task_id}/progress", json.loads(stage))
            watched = "/api/v1/executions/{}/progress/ws" if ws else "/api/v1/tasks/{}/progress/stream"
            paths = [(watched.format(_execution(one) if ws else one), f"/api/v1/tasks/{one}/progress") for one in ids]
            mark = PROGRESS_WS if ws else "ts="
            yield Target(port=server.port, pid=server.pid, topics=paths, body=REPORT, ws=ws, mark=mark)

    return start


@asynccontextmanager
async def children(topics: int) -> AsyncIterator[Target]:
    """Ours, with each task a process of its own that reports over PROGRESSHUB_FD once the go file is there."""
    with TemporaryDirectory(prefix="bench-go-") as folder:
        words = (NATIVE / "report", f"{folder}/go", REPORTING_S, REPORTS_PER_S, CLIENT_CORE)
        argv = json.dumps([str(word) for word in words])
        slots = (f"scheduler.slots={topics}", f"commands.reports.argv={argv}")
        async with hub("server.max_connections=20000", ROOM, *slots, core=SERVER_CORE) as server:
            ids = [await server.submit("command", {"name": "reports"}) for _ in range(topics)]
            await asyncio.sleep(STARTING_S)
            paths = [(f"/api/v1/tasks/{one}/progress/stream", "-") for one in ids]
            yield Target(port=server.port, pid=server.pid, topics=paths, go=f"{folder}/go")


def _execution(task_id: str) -> str:
    return f"exec_{task_id.replace('-', '')[:12]}"


def plain(*command: str | Path, ws: bool = False, watched: str = "/t{}") -> Start:
    """A server that is given its port as `@PORT@` and knows topics as /t0, /t1 …"""

    @asynccontextmanager
    async def start(topics: int) -> AsyncIterator[Target]:
        port = free_port()
        words = [str(word).replace("@PORT@", str(port)) for word in command]
        async with running(words, core=SERVER_CORE, port=port, cwd=PEERS, environment={"NODE_PATH": str(_node())}) as p:
            paths = [(watched.format(n), f"/t{n}") for n in range(topics)]
            yield Target(port=port, pid=p.pid, topics=paths, ws=ws)

    return start


def nchan(*, ws: bool = False) -> Start:
    @asynccontextmanager
    async def start(topics: int) -> AsyncIterator[Target]:
        port = free_port()
        with TemporaryDirectory(prefix="bench-nchan-") as folder:
            text = (PEERS / "nchan.conf").read_text()
            for name, value in (("@MODULE@", NCHAN), ("@FOLDER@", folder), ("@PORT@", port)):
                text = text.replace(name, str(value))
            Path(folder).chmod(0o755)
            config = Path(folder, "nginx.conf")
            config.write_text(text)
            command = [program("nginx") or "nginx", "-p", folder, "-c", config, "-e", "/dev/null"]
            async with running(command, core=SERVER_CORE, port=port) as process:
                worker = family(process.pid)[-1]
                paths = [(f"/sub/t{n}", f"/pub/t{n}") for n in range(topics)]
                yield Target(port=port, pid=worker, topics=paths, ws=ws)

    return start


def uvicorn(module: str) -> tuple[str | Path, ...]:
    return (PYTHON, "-m", "uvicorn", f"{module}:app", "--port", "@PORT@", "--log-level", "error", "--backlog", "4096")


def _node() -> Path:
    return NODE_MODULES / "node_modules"


async def contestants() -> list[Contestant]:
    """All there are; what is missing says so."""
    node, ws = program("node"), (_node() / "ws").is_dir()
    no_nchan = "" if program("nginx") and NCHAN.exists() else "nginx with nchan is not installed"
    no_node = "" if node and ws else "node or its package ws is not installed"
    socketio = "/socket.io/?EIO=4&transport=websocket&topic=t{}"
    return [
        Contestant(name="progresshub", start=ours()),
        Contestant(name="progresshub, WebSocket", start=ours(ws=True)),
        Contestant(name="C, epoll (limit)", start=plain(NATIVE / "limit", "@PORT@"), speed=0.3),
        Contestant(name="nchan", start=nchan(), speed=0.2, missing=no_nchan),
        Contestant(name="nchan, WebSocket", start=nchan(ws=True), speed=0.2, missing=no_nchan),
        await _python("starlette", plain(*uvicorn("starlette_sse"))),
        await _python("sse_starlette", plain(*uvicorn("sse_starlette_sse"))),
        await _python("aiohttp_sse", plain(PYTHON, "aiohttp_sse_sse.py", "@PORT@")),
        await _python("socketio", plain(*uvicorn("socketio_ws"), ws=True, watched=socketio)),
        Contestant(name="node", start=plain(node or "node", "node.js", "@PORT@"), speed=0.1, missing=no_node),
        Contestant(
            name="node, ws", start=plain(node or "node", "node.js", "@PORT@", ws=True), speed=0.1, missing=no_node
        ),
    ]


async def _python(module: str, start: Start) -> Contestant:
    missing = "" if await installed(module) else f"the Python package {module} is not installed"
    return Contestant(name=module.replace("_", "-"), start=start, speed=0.06, missing=missing)
