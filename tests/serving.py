"""A real server for a test: in the test's own process, or in one of its own that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson

from progresshub import config
from progresshub.server import Running, Server
from tests.wait import PATIENCE_S

BARE = ("port=0", "warm.ahead=false", "scheduler.backoff_s=0.0")
"""Settings that most tests want: a free port, nothing started that is not needed, retries at once."""


class Event(NamedTuple):
    """A server-sent event; `data` is decoded JSON."""

    id: str
    name: str
    data: Any


class Stream:
    """An open stream of server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments: list[str] = []

    async def next(self) -> Event | None:
        """The next event, None at the end of the stream; TimeoutError when neither comes."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.response.content.readline():
                text = line.decode().rstrip("\n")
                if text.startswith(":"):
                    self.comments.append(text[1:].strip())
                elif text:
                    name, _, value = text.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    return Event(fields.get("id", ""), fields.get("event", "message"), orjson.loads(fields["data"]))
        return None

    async def comment(self) -> str:
        """The next comment; events before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.response.content.readline():
                if line.startswith(b":"):
                    return line[1:].decode().strip()
        raise AssertionError("the stream ended without a comment")

    async def until(self, name: str) -> Event:
        """The next event of that name; what comes before it is passed over."""
        while (event := await self.next()) is not None:
            if event.name == name:
                return event
        raise AssertionError(f"the stream ended before there was {name}")

    async def rest(self) -> list[Event]:
        """All that still comes, to the end of the stream."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events


class Stoppable(Server):
    """A server that may be stopped early by the test, and then again at its end."""

    def stop(self) -> None:
        if not self._stopping.is_set():
            super().stop()


class Client:
    """Speaks to one server in the queues dialect."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session
        self.stop: Callable[[], None] = lambda: None
        self.login_url = ""

    async def ask(self, method: str, path: str, **given: Any) -> tuple[int, Any]:
        """The status and the decoded body of an answer; None where it has none."""
        async with asyncio.timeout(PATIENCE_S), self.session.request(method, self.url + path, **given) as response:
            body = await response.read()
            return response.status, orjson.loads(body) if body else None

    async def get(self, path: str, **query: Any) -> Any:
        """The body of a 200."""
        status, body = await self.ask("GET", path, params=query)
        assert status == 200, body
        return body

    async def post(self, path: str, body: Any = None, status: int = 200, **given: Any) -> Any:
        """The body of an answer with that status."""
        got, answer = await self.ask("POST", path, **({} if body is None else {"json": body}), **given)
        assert got == status, answer
        return answer

    async def submit(self, kind: str, payload: dict[str, Any] | None = None, **more: Any) -> str:
        """Submit a task; returns its id."""
        created = await self.post("/api/v1/tasks", {"type": kind, "payload": payload or {}, **more}, 201)
        return str(created["task_id"])

    async def task(self, task_id: str) -> Any:
        return await self.get(f"/api/v1/tasks/{task_id}")

    async def report(self, task_id: str, **report: Any) -> Any:
        return await self.post(f"/api/v1/tasks/{task_id}/progress", report)

    async def ended(self, task_id: str) -> Any:
        """The task when it has ended, watched over its stream."""
        async with self.stream(f"/api/v1/tasks/{task_id}/progress/stream") as stream:
            await stream.rest()
        return await self.task(task_id)

    @asynccontextmanager
    async def stream(self, path: str, *, headers: Any = None, **query: Any) -> AsyncIterator[Stream]:
        async with self.session.get(self.url + path, params=query, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield Stream(response)


@asynccontextmanager
async def client(url: str, token: str = "") -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        yield Client(url, session)


@asynccontextmanager
async def serving(data: Path, *flags: str, file: Path | None = None, token: str = "") -> AsyncIterator[Client]:
    """A server in this process, stopped in good order at the end."""
    loaded = config.load(file, {}, [*BARE, f"data_dir={data}", *flags])
    server = Stoppable(loaded, {})
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(server.run(started.set_result))
    either: list[asyncio.Future[Any]] = [started, running]
    await asyncio.wait(either, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        await running
    try:
        async with client(started.result().urls[0], token) as speaker:
            speaker.stop = server.stop
            speaker.login_url = started.result().login_url
            yield speaker
    finally:
        server.stop()
        async with asyncio.timeout(PATIENCE_S):
            await running


def command_file(folder: Path, **programs: str) -> Path:
    """A settings file with Python programs that clients may run by name."""
    path = folder / "config.toml"
    with path.open("w") as file:
        for name, program in programs.items():
            argv = orjson.dumps([sys.executable, "-c", program]).decode()
            file.write(f"[commands.{name}]\nargv = {argv}\n")
    return path


class Process:
    """A server in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, line: str) -> None:
        self.process = process
        self.line = line
        self.url = next(word for word in line.split() if word.startswith("http://"))

    def kill(self) -> None:
        """No time to say goodbye."""
        with suppress(ProcessLookupError):
            self.process.kill()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def gone(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()


@asynccontextmanager
async def process(data: Path, *flags: str, environment: dict[str, str] | None = None) -> AsyncIterator[Process]:
    """A server process, killed at the end if it still runs; its standard error goes to `<data>.err`."""
    with data.with_suffix(".err").open("ab") as errors:
        started = await asyncio.create_subprocess_exec(
            *command(data, *flags),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**_inherited(), **(environment or {})},
        )
    try:
        assert started.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = (await started.stdout.readline()).decode()
        assert line, data.with_suffix(".err").read_text()
        yield Process(started, line)
    finally:
        with suppress(ProcessLookupError):
            started.kill()
        await started.wait()


def command(data: Path, *flags: str) -> Sequence[str]:
    settings = [word for flag in (*BARE[1:], *flags) for word in ("--set", flag)]
    return (sys.executable, "-m", "progresshub", "serve", "--port", "0", "--data-dir", str(data), *settings)


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PROGRESSHUB_")}
