"""The HTTP side of the stand-in: a literal table of routes, on loopback only.

>>> with start() as server:
...     server.url            # "http://127.0.0.1:40123"
...     server.requests       # ["GET /images/roof.jpg", ...], what came so far
...     server.scalepoint     # what it knows and how it behaves: state.py; over HTTP: control.py
"""

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from scalepoint_integration.simulator import bad_images
from scalepoint_integration.simulator.api import served
from scalepoint_integration.simulator.control import control
from scalepoint_integration.simulator.pictures import draw
from scalepoint_integration.simulator.polling import receive
from scalepoint_integration.simulator.settlements import give_settlement
from scalepoint_integration.simulator.state import State
from scalepoint_integration.simulator.submitted import send_event, submit_expense, submit_file, submit_to_case
from scalepoint_integration.simulator.tokens import give_token

_EVENTS = "/api/events/v1/([a-z]{2})/external/([^/]+)"
_ECX = "/ecx/host/api/integration"
_TYPES = {"jpg": "JPEG", "png": "PNG"}


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` is a regular expression for all of the path; its groups are handed to ``act`` as texts."""

    method: str
    path: str
    act: Callable[..., None]


class Server(ThreadingHTTPServer):
    """A running simulator. Ends with ``stop()``, or as a context manager."""

    daemon_threads = True  # not waited for: an answer that is slow on purpose must not hold up the end
    request_queue_size = 128

    def __init__(self, port: int, file: Path | None = None) -> None:
        super().__init__(("127.0.0.1", port), Exchange)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: deque[str] = deque(maxlen=10_000)
        try:
            self.scalepoint = State(self.url, file)
        except (ValueError, OSError):
            self.server_close()
            raise
        self.stopping = self.scalepoint.stopping
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="simulator", daemon=True)
        self._thread.start()

    @property
    def images_url(self) -> str:
        return f"{self.url}/images"

    def stop(self) -> None:
        self.scalepoint.stop()
        self.shutdown()
        self.server_close()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is an ordinary thing, and no traceback."""


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    @property
    def simulator(self) -> Server:
        return cast(Server, self.server)

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
        for route in ROUTES:
            if route.method == method and (found := re.fullmatch(route.path, path)):
                return route.act(self, *found.groups())
        self.close_connection = True  # a body may have come that nobody reads
        self.answer(404, b"Not found", "text/plain")

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: who wants to know asks ``server.requests``."""


def start(port: int = 0, file: Path | None = None) -> Server:
    """Serve on 127.0.0.1 in a thread of its own; port 0 is any free one. ``file`` keeps the state over a restart.
    Raises OSError where the port is taken or the file can't be had, ValueError where the file is none of ours."""
    return Server(port, file)


def health(exchange: Exchange) -> None:
    exchange.answer(200, b'{"status": "ok"}', "application/json")


def image(exchange: Exchange, name: str, ending: str) -> None:
    kind = _TYPES[ending]
    exchange.answer(200, draw(name, kind), f"image/{kind.lower()}")


ROUTES = (
    Route("GET", "/health", health),
    # Good images: any name, always the same picture for the same one.
    Route("GET", r"/images/([\w-]+)\.(jpg|png)", image),
    # Scalepoint's own addresses. Each can be told to fail under its name: State.fail.
    Route("POST", "/connect/token", served("token", give_token)),
    Route("GET", f"{_EVENTS}/receive", served("receive", receive)),
    Route("POST", f"{_EVENTS}/send", served("send", send_event)),
    Route("GET", r"/webapp/ScalePoint/([a-z]{2})/case/([^/]+)/revision/([^/]+)", served("settlement", give_settlement)),
    Route("POST", f"{_ECX}/v1/file/submitForCase", served("file", submit_to_case)),
    Route("POST", f"{_ECX}/v1/file/submitForDamageNotification", served("damage_file", submit_file)),
    Route("POST", f"{_ECX}/v2/expense/submit", served("expense", submit_expense)),
    Route("POST", r"/control/(\w+)", control),
    # Images that misbehave, for tests. Nothing that the simulator posts refers to them.
    Route("GET", "/images/bad/hang.jpg", bad_images.hang),  # the request is read, and then nothing
    Route("GET", "/images/bad/slow-head.jpg", bad_images.slow_head),  # headers without end, one every 0.05 s
    Route("GET", "/images/bad/slow.jpg", bad_images.slow),  # a good picture, one byte every 0.05 s
    Route("GET", "/images/bad/reset.jpg", bad_images.reset),  # half a picture, then a TCP reset
    Route("GET", "/images/bad/truncated.jpg", bad_images.truncated),  # less than Content-Length, then closed
    Route("GET", "/images/bad/cut.jpg", bad_images.cut),  # half a picture under an honest Content-Length
    Route("GET", "/images/bad/huge.jpg", bad_images.huge),  # Content-Length of a terabyte
    Route("GET", "/images/bad/endless.jpg", bad_images.endless),  # chunks for ever, no length
    Route("GET", "/images/bad/gzip.jpg", bad_images.gzip),  # Content-Encoding: gzip, ten megabytes of zeros inside
    Route("GET", "/images/bad/bomb.png", bad_images.bomb),  # 30,000 x 30,000 pixels in 110 kB
    Route("GET", "/images/bad/html.jpg", bad_images.html),  # a page that is called a picture
    Route("GET", "/images/bad/svg.jpg", bad_images.svg),  # a drawing with a script in it
    Route("GET", "/images/bad/empty.jpg", bad_images.empty),  # 200 and nothing
    Route("GET", "/images/bad/redirect.jpg", bad_images.redirect_good),  # 302 to a good image here
    Route("GET", "/images/bad/loop.jpg", bad_images.redirect_loop),  # 302 to itself
    Route("GET", "/images/bad/private.jpg", bad_images.redirect_private),  # 302 to a cloud's metadata address
    Route("GET", "/images/bad/file.jpg", bad_images.redirect_file),  # 302 to file:///etc/passwd
    Route("GET", r"/images/bad/flaky-([\w-]+)\.jpg", bad_images.flaky),  # 503 the first time, then good
    Route("GET", r"/images/bad/status-([1-5]\d\d)\.jpg", bad_images.status),  # that status, with Retry-After: 7
)
