"""The HTTP side of the simulator, on loopback only. What it answers is in routes.py.

>>> with start() as server:
...     server.url            # "http://127.0.0.1:40123"
...     server.requests       # ["GET /images/roof.jpg", ...], what came so far
...     server.scalepoint     # what it knows and how it behaves: state.py; over HTTP: control.py
"""

import threading
from collections import deque
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

from scalepoint_integration.simulator import routes
from scalepoint_integration.simulator.exchange import Exchange
from scalepoint_integration.simulator.state import State


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

    def find(self, method: str, path: str) -> Callable[[Exchange], None] | None:
        return routes.find(method, path)

    def stop(self) -> None:
        self.scalepoint.stop()
        self.shutdown()
        self.server_close()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is an ordinary thing, and no traceback."""


def start(port: int = 0, file: Path | None = None) -> Server:
    """Serve on 127.0.0.1 in a thread of its own; port 0 is any free one. ``file`` keeps the state over a restart.
    Raises OSError where the port is taken or the file can't be had, ValueError where the file is none of ours."""
    return Server(port, file)
