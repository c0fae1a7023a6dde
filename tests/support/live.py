"""The site as real processes on the test's own database and broker: granian, Celery workers, beat.

Started for a test module, ended with it; what they work on is committed, so such tests use the transactional database.
"""

import http.client
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import connection

from devtools.processes import Household, Process, free_port, tail, wait_for
from tests.support.world import CONTRACT, NORD_TOKEN

QUEUES = "scalepoint,scalepoint-images,scalepoint-outbound,scalepoint-poll"
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
PATH = f"/api/scalepoint/v1/{CONTRACT}/"


class Site:
    def __init__(self, house: Household, **environment: str) -> None:
        self.house = house
        self.port = free_port()
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            "DJANGO_SETTINGS_MODULE": "settings.test",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": "replaced by settings.test",
            "HTTPS": "off",
            "DATABASE_URL": database_url(),
            "REDIS_URL": os.environ["REDIS_URL"],
            "PRIVATE_ROOT": str(settings.PRIVATE_ROOT),
            **environment,
        }

    def web(self, workers: int = 1, server: str = "granian") -> Process:
        options = {
            "granian": f"--interface wsgi --http 1 --port {self.port} --workers {workers} --blocking-threads 16",
            "gunicorn": f"-b 127.0.0.1:{self.port} -w {workers} -k gthread --threads 16 --no-control-socket",
        }
        command = [BIN / server, *options[server].split(), "settings.wsgi:application"]
        process = self.spawn("web", *command)
        assert wait_for(lambda: answers(self.port), 30), tail(self.log("web"))
        return process

    def worker(self, name: str = "worker", queues: str = QUEUES, concurrency: int = 2) -> Process:
        command = [BIN / "celery", "-A", "settings", "worker", "-Q", queues, "-n", f"{name}-{self.port}@%h"]
        command += [f"--concurrency={concurrency}", "--without-mingle", "--without-gossip", "-l", "INFO"]
        return self.spawn(name, *command)

    def beat(self) -> Process:
        schedule = self.house.path / f"beat-{self.port}"
        return self.spawn("beat", BIN / "celery", "-A", "settings", "beat", "-s", schedule, "-l", "INFO")

    def manage(self, *arguments: str) -> Process:
        return self.spawn(arguments[0], sys.executable, ROOT / "manage.py", *arguments)

    def spawn(self, name: str, *command: Any) -> Process:
        return self.house.spawn(command, log=self.log(name), env=self.environment, cwd=ROOT)

    def log(self, name: str) -> Path:
        return self.house.path / f"{name}-{self.port}.log"

    def tails(self) -> str:
        """The ends of all logs, for a message."""
        return "\n".join(f"--- {log.name}\n{tail(log)}" for log in sorted(self.house.path.glob("*.log")))

    def post(
        self, body: Any, token: str | None = NORD_TOKEN, path: str = PATH, timeout: float = 15, **headers: str
    ) -> tuple[int, Any]:
        """POST an event (or bytes as they are). Returns status and parsed answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **{name.replace("_", "-"): v for name, v in headers.items()}}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            link.request("POST", path, content, sent)
            answer = link.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            link.close()


class Scalepoint:
    """The stand-in as a process of its own, always on the same port and with the same state: it can be killed, and
    knows everything when it is back. The functions of its control routes are methods: ``received(place="send")``."""

    def __init__(self, site: Site, port: int) -> None:
        self.site, self.port = site, port
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = site.house.path / f"scalepoint-{self.port}.json"
        self.process = self._start()

    def _start(self) -> Process:
        words = ("scalepoint_simulator", "--port", str(self.port), "--state", str(self.file))
        process = self.site.manage(*words)
        assert wait_for(lambda: answers(self.port, "/health"), 30), tail(self.site.log(words[0]))
        return process

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def restart(self) -> None:
        self.process = self._start()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **arguments: self._call(name, arguments)

    def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            link.request("POST", f"/control/{name}", json.dumps(arguments), {"Content-Type": "application/json"})
            answer = json.loads(link.getresponse().read())
        finally:
            link.close()
        assert "result" in answer, answer
        return answer["result"]


@contextmanager
def site(**environment: str) -> Iterator[Site]:
    with Household("scalepoint-site-") as house:
        yield Site(house, **environment)


def database_url() -> str:
    """The URL of the test database of this process."""
    facts = connection.settings_dict
    user, password = quote(str(facts["USER"])), quote(str(facts["PASSWORD"]))
    return f"postgres://{user}:{password}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


def redis_port() -> int:
    return urlsplit(os.environ["REDIS_URL"]).port or 6379


def answers(port: int, path: str = PATH) -> bool:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        link.request("GET", path)
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def eventually(condition: Callable[[], bool], seconds: float, message: Any = "") -> None:
    assert wait_for(condition, seconds, 0.05), message() if callable(message) else message
