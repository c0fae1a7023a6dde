"""The demo: a whole site with a stand-in for Scalepoint, kept running until Ctrl-C. ``make demo`` runs it.

Everything lives in one private folder, and goes with it. PORT, WORKERS, EVENTS, ONCE and READY come from the
environment (`make help`). What dies is started again, on the same address: kill anything and look.
"""

import http.client
import json
import os
import secrets
import signal
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools.processes import Household, end_with_parent, free_port, is_free, tail
from devtools.servers import Postgres, Redis, ServiceError
from devtools.supervisor import Failed, Stopped, Supervisor, say
from scalepoint_integration import queues

ROOT = Path(__file__).resolve().parent.parent
# How many of the cases have a story: settled, closed with a reason, every other one opened again.
SEED, STORIES = "1", 6
# The caller's other variables stay outside: PYTHONPATH, DJANGO_SETTINGS_MODULE, a GRANIAN_PORT ...
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LOG_LEVEL", "LANGUAGE_CODE")


@dataclass
class Options:
    port: int
    workers: int
    events: int
    once: bool
    ready: Path | None


class Demo:
    def __init__(self, house: Household, options: Options) -> None:
        self.options = options
        self.postgres, self.redis = Postgres(house, durable=True), Redis(house, durable=True)
        servers: dict[str, Postgres | Redis] = {"postgres": self.postgres, "redis": self.redis}
        self.supervisor = Supervisor(house, servers, cwd=ROOT, changed=self.write_ready)
        self.site = house.folder("site")
        self.report = self.site / "report.json"
        self.insurers = self.site / "insurers.json"
        self.certificate = self.site / "certificate.txt"
        self.stories = self.site / "stories.json"
        self.simulator_port = free_port()
        self.simulator_url = f"http://127.0.0.1:{self.simulator_port}"
        self.url = f"http://127.0.0.1:{options.port}"
        self.facts: dict[str, Any] = {}
        self.is_ready = False

    def run(self) -> int:
        """Until somebody stops us; with ONCE until the first cases are in. Returns the exit code."""
        say("Starting PostgreSQL and Redis ...")
        self.postgres.start()
        self.redis.start()
        self.supervisor.environment = self.environment()
        say("Making the tables and the example data ...")
        self.prepare()
        say("Starting the site ...")
        self.start_parts()
        self.supervisor.until(self.is_up, "the site to answer")
        self.supervisor.settled = True
        complete = self.first_cases()
        admin = self.facts["admin"]
        say(f"\nAdmin      {self.url}/admin/\nUser name  {admin['username']}\nPassword   {admin['password']}")
        say(f"Endpoint   {self.endpoint}\n")
        if self.options.once:
            say("Every case is a task with all its images." if complete else "Not every case came through.")
            return 0 if complete else 1
        say("It runs until Ctrl-C.")
        while True:
            self.supervisor.pause()

    def prepare(self) -> None:
        file = self.site / "prepared.json"
        if not self.supervisor.run("prepare", "devtools.demo_data", "prepare", file, self.simulator_url):
            raise Failed(f"The site could not be prepared:\n{tail(self.supervisor.log('prepare'))}")
        self.facts = json.loads(file.read_bytes())
        self.insurers.write_text(json.dumps(self.facts["insurers"]))
        self.certificate.write_text(self.facts["certificate"])

    def first_cases(self) -> bool:
        """Wait for what the simulator posts, and show it; then for what happens to some of the cases later. READY is
        written at the end: whoever waits for it finds a site that stands still."""
        count = self.options.events
        if not count:
            self.is_ready = True
            self.write_ready()
            return True
        say(f"The simulator posts {count} cases to {self.endpoint} ...")
        all_tasks = self.supervisor.run("tasks", "devtools.demo_data", "tasks", self.report, count)
        # What did not become a task while we waited is not waited for a second time.
        goal = "images" if all_tasks else "table"
        complete = self.supervisor.run(goal, "devtools.demo_data", goal, self.report, count)
        say(self.supervisor.log(goal).read_text())
        if not complete:
            say(self.supervisor.tails("simulator", "web", "worker", "image_worker"))
        if all_tasks:
            self.tell_stories(min(STORIES, count))
        self.is_ready = all_tasks
        self.write_ready()
        return complete

    def tell_stories(self, count: int) -> None:
        """After the table, whose images are those that came with the cases."""
        spec = {"simulator_url": self.simulator_url, "endpoint": self.endpoint, "insurers": self.facts["insurers"]}
        self.stories.write_text(json.dumps(spec | {"count": count, "seed": SEED}))
        self.supervisor.run("stories", "devtools.demo_data", "stories", self.stories)
        say(self.supervisor.log("stories").read_text().rstrip())

    def environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return passed_on | {
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "settings.base",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "DEBUG": "off",
            "HTTPS": "off",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "PRIVATE_ROOT": str(self.site / "private"),
            "STATIC_ROOT": str(self.site / "static"),
            "SCALEPOINT_IMAGE_TRUSTED_ORIGINS": self.simulator_url,
            "SCALEPOINT_CLIENT_TRUSTED_ORIGINS": self.simulator_url,
            "SCALEPOINT_PUBLIC_BASE_URL": self.url,
        }

    def start_parts(self) -> None:
        def celery(*words: str) -> Callable[[], list[str]]:
            return lambda: ["celery", "-A", "settings", *words, "--loglevel=INFO"]

        workers = (f"--concurrency={self.options.workers}", "--without-mingle", "--without-gossip")
        quick = queues.SWEEP.celery
        slow = ",".join(sorted({job.celery for job in queues.JOBS} - {quick}))
        self.supervisor.keep("web", self.web)
        self.supervisor.keep("worker", celery("worker", "-Q", quick, "-n", "events@%h", *workers))
        self.supervisor.keep("image_worker", celery("worker", "-Q", slow, "-n", "images@%h", *workers))
        self.supervisor.keep("beat", celery("beat", "-s", str(self.site / "beat-schedule"), "--pidfile="))
        self.supervisor.keep("simulator", self.simulator)

    def web(self) -> list[str]:
        # granian gives out the admin's style sheets itself: Django does not when DEBUG is off. Its back-pressure
        # counts connections and not requests, idle ones too: too small a number locks everybody out.
        return [
            *("granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--host", "127.0.0.1"),
            *("--port", str(self.options.port), "--workers", "2", "--blocking-threads", "32"),
            *("--backpressure", "256", "--respawn-failed-workers", "--respawn-interval", "1"),
            *("--static-path-route", "/static", "--static-path-mount", str(self.site / "static")),
            "settings.wsgi:application",
        ]

    def simulator(self) -> list[str]:
        words = ["django", "scalepoint_simulator", "--port", str(self.simulator_port), "--seed", SEED]
        words += ["--client-id", self.facts["client_id"], "--certificate", str(self.certificate)]
        words += ["--state", str(self.site / "simulator.json")]
        if self.options.events and not self.report.exists():  # started again, it has nothing more to post
            words += ["--endpoint", self.endpoint, "--insurers", str(self.insurers)]
            words += ["--events", str(self.options.events), "--report", str(self.report)]
        return words

    @property
    def endpoint(self) -> str:
        return f"{self.url}/api/scalepoint/v1/{self.facts['contract_number']}/"

    def is_up(self) -> bool:
        logs = (self.supervisor.log("worker"), self.supervisor.log("image_worker"))
        return (
            _answers(self.options.port, "/admin/login/")
            and _answers(self.simulator_port, "/health")
            and all(" ready." in log.read_text(errors="replace") for log in logs)
        )

    def write_ready(self) -> None:
        """READY: one JSON object for whoever drives the demo from outside. Whole or not at all, and private: it has
        the tokens and passwords in it."""
        if not self.options.ready or not self.is_ready:
            return
        facts = {
            "endpoint": self.endpoint,
            "contract_number": self.facts["contract_number"],
            "insurers": self.facts["insurers"],
            "admin": {"url": f"{self.url}/admin/", **self.facts["admin"]},
            "database_url": self.postgres.url,
            "redis_url": self.redis.url,
            "simulator_url": self.simulator_url,
            "pids": self.supervisor.pids(),
        }
        half = self.options.ready.with_name(f".{self.options.ready.name}.{os.getpid()}")
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        half.write_text(json.dumps(facts, ensure_ascii=False, indent=1))
        half.replace(self.options.ready)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_options() -> Options:
    def number(name: str, default: int, least: int) -> int:
        given = os.environ.get(name) or str(default)
        if not given.isdecimal() or int(given) < least:
            raise Failed(f"{name}={given} is not a number from {least} on.")
        return int(given)

    port = number("PORT", 8000, 1)
    if not is_free(port):
        if os.environ.get("PORT"):
            raise Failed(f"Port {port} is taken, or not ours to take. Give another one: make demo PORT=8001")
        port = free_port()
    ready = os.environ.get("READY")
    return Options(
        port=port,
        workers=number("WORKERS", 2, 1),
        events=number("EVENTS", 40, 0),
        once=os.environ.get("ONCE", "") not in ("", "0"),
        ready=Path(ready).absolute() if ready else None,
    )


def main() -> int:
    try:
        options = read_options()
        if options.ready:
            options.ready.unlink(missing_ok=True)  # of an earlier demo: whoever waits for it must not believe it
        if "MAKELEVEL" in os.environ:
            # `make` passes a polite signal on to us, but a kill -9 of it would leave us running without an owner.
            end_with_parent(signal.SIGTERM)
        with Household("scalepoint-demo-") as house:
            demo = Demo(house, options)
            demo.supervisor.take_signals()
            try:
                return demo.run()
            except Stopped:
                say("Ending ...")
                return 1 if options.once else 0
            finally:
                demo.supervisor.end()
    except (Failed, ServiceError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
