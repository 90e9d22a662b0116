"""A web server for one small file on the loopback, for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

FILE = bytes(8) + b"ftyp" + bytes(4_084)


class _OneFile(BaseHTTPRequestHandler):
    timeout = 5
    wbufsize = -1

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Content-Length", str(len(FILE)))
        self.end_headers()
        self.wfile.write(FILE)

    def log_message(self, *_: object) -> None:
        """Nobody needs to know."""


@contextmanager
def one_file_at(path: str) -> Iterator[str]:
    """Serve the file at any path and give its URL; at the end the socket is closed and the thread gone."""
    with HTTPServer(("127.0.0.1", 0), _OneFile) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{path}"
        finally:
            server.shutdown()
            thread.join()
