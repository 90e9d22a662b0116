"""A language model's server for tests: real HTTP on the loopback, and answers as the test wants them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE_S = 20.0
PIECE_CHARS = 12


@dataclass
class Reply:
    """One answer. `held` keeps it back until the test lets it go, `unended` its end; `raw` is sent before frames."""

    text: str = ""
    status: int = 200
    streamed: bool = True
    endless: bool = False
    raw: bytes = b""
    held: threading.Event | None = None
    unended: threading.Event | None = None
    location: str = ""


@dataclass
class Model:
    """`asked` has what came, as JSON; `replies` are given one after another, the last of them for ever."""

    url: str
    replies: list[Reply]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def next(self) -> Reply:
        return self.replies[min(len(self.asked), len(self.replies)) - 1]


@contextmanager
def language_model(*replies: Reply) -> Iterator[Model]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    model = Model(f"http://127.0.0.1:{server.server_address[1]}/v1", list(replies))
    server.model = model  # type: ignore[attr-defined]  # this is how a handler gets at it
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield model
    finally:
        for reply in replies:
            for event in (reply.held, reply.unended):
                if event is not None:
                    event.set()
        server.shutdown()
        thread.join(PATIENCE_S)
        server.server_close()


def deck(slides: int, points: int = 2) -> str:
    """A deck as a good model writes it."""
    written = [
        {
            "title": f"Part {number}",
            "points": [f"Point {number}.{point}" for point in range(points)],
            "narration": f"This is part {number}. It is short.",
        }
        for number in range(1, slides + 1)
    ]
    return json.dumps({"slides": written})


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        model: Model = self.server.model  # type: ignore[attr-defined]
        model.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        model.keys.append(self.headers.get("Authorization", ""))
        assert self.path == "/v1/chat/completions"
        try:
            self._give(model.next())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _give(self, reply: Reply) -> None:
        if reply.held is not None:
            reply.held.wait(PATIENCE_S)
        if reply.location:
            self._head(302, "text/plain", Location=reply.location)
        elif reply.status != 200:
            self._head(reply.status, "application/json")
            self.wfile.write(json.dumps({"error": {"message": reply.text}}).encode())
        elif reply.streamed:
            self._head(200, "text/event-stream")
            self._stream(reply)
        else:
            self._head(200, "application/json")
            self.wfile.write(reply.raw or json.dumps({"choices": [{"message": {"content": reply.text}}]}).encode())

    def _stream(self, reply: Reply) -> None:
        self.wfile.write(reply.raw)
        for at in range(0, len(reply.text), PIECE_CHARS):
            self._frame(reply.text[at : at + PIECE_CHARS])
        while reply.endless:
            self._frame("and so on ")
        if reply.unended is not None:
            reply.unended.wait(PATIENCE_S)
        self.wfile.write(b"data: [DONE]\n\n")

    def _frame(self, text: str) -> None:
        frame = {"choices": [{"index": 0, "delta": {"content": text}}]}
        self.wfile.write(f"data: {json.dumps(frame)}\n\n".encode())

    def _head(self, status: int, content_type: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""
