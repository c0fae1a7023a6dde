"""One request and its answer. It knows what a running simulator offers, and not the server that it is."""

import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Protocol, cast
from urllib.parse import urlsplit

from scalepoint_integration.simulator.state import State


class Simulator(Protocol):
    """What an exchange may ask of the simulator that it belongs to. ``find`` returns the action for an address, or None
    if there is no such address."""

    requests: deque[str]
    scalepoint: State
    stopping: threading.Event

    def find(self, method: str, path: str) -> "Callable[[Exchange], None] | None": ...


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    @property
    def simulator(self) -> Simulator:
        return cast(Simulator, self.server)

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def read_body(self, most: int) -> bytes:
        """The body, in one piece or in chunks. Raises ValueError for one that is too long, or broken."""
        try:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                length = int(self.headers.get("Content-Length") or 0)
                if not 0 <= length <= most:
                    raise ValueError("The body is too long")
                return self.rfile.read(length)
            content = b""
            while size := int(self.rfile.readline(100).split(b";")[0], 16):
                if size < 0 or len(content) + size > most:
                    raise ValueError("The body is too long")
                content += self.rfile.read(size)
                self.rfile.readline(10)
            while self.rfile.readline(1000) not in (b"\r\n", b"\n", b""):
                """A trailer: nobody looks at it."""
            return content
        except ValueError:
            self.close_connection = True
            raise

    def answer(self, status: int, content: bytes, content_type: str, **headers: str) -> None:
        """``headers`` are written with _ for -."""
        self.start(status, Content_Length=str(len(content)), Content_Type=content_type, **headers)
        self.wfile.write(content)

    def start(self, status: int, **headers: str) -> None:
        """The head of an answer, for those who write the body themselves."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def pause(self, seconds: float) -> bool:
        """Wait; False where the simulator is ending."""
        return not self.simulator.stopping.wait(seconds)

    def _route(self, method: str) -> None:
        path = urlsplit(self.path).path
        self.simulator.requests.append(f"{method} {path}")
        if action := self.simulator.find(method, path):
            return action(self)
        self.close_connection = True  # a body may have come that nobody reads
        self.answer(404, b"Not found", "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: who wants to know asks ``server.requests``."""
