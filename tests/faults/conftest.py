"""A whole site of its own for the faults: PostgreSQL, broker, web, workers and beat, each to be killed or frozen."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from devtools.processes import Household, Process
from devtools.servers import Postgres, Redis
from tests.support.live import ROOT, Site

_MAKE_WORLD = "import django; django.setup(); from tests.support.world import make_world; make_world()"


class OwnSite(Site):
    """A site on servers of its own."""

    def __init__(self, house: Household) -> None:
        self.postgres, self.redis = Postgres(house), Redis(house)
        self.postgres.start()
        self.redis.start()
        super().__init__(
            house,
            DJANGO_SETTINGS_MODULE="tests.faults.settings",
            DATABASE_URL=self.postgres.url,
            REDIS_URL=self.redis.url,
            PRIVATE_ROOT=str(house.folder("private")),
        )
        for command in ([ROOT / "manage.py", "migrate", "-v0"], ["-c", _MAKE_WORLD]):
            subprocess.run([sys.executable, *command], env=self.environment, cwd=ROOT, check=True)

    def ask(self, query: str, *values: Any) -> Any:
        """The first column of the first row, on a connection of our own."""
        with psycopg.connect(self.postgres.url, connect_timeout=5, autocommit=True) as link:
            row = link.execute(query, values).fetchone()  # type: ignore[call-overload]
            return row[0] if row else None

    def count(self, table: str, condition: str = "true") -> int:
        return int(self.ask(f"SELECT count(*) FROM {table} WHERE {condition}"))

    def tasks(self) -> int:
        return self.count("scalepoint_tasks_task")

    def waiting(self) -> int:
        return self.count("scalepoint_integration_inboundevent", "status = 'pending'")


@pytest.fixture
def own_site() -> Iterator[OwnSite]:
    with Household("scalepoint-faults-") as house:
        made = OwnSite(house)
        yield made
        for process in (made.postgres.process, made.redis.process):
            if process:
                thaw(process)


def kill(process: Process) -> None:
    """kill -9, of the process and all it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def freeze(process: Process) -> None:
    _signal(process, signal.SIGSTOP)


def thaw(process: Process) -> None:
    _signal(process, signal.SIGCONT)


def family(process: Process) -> list[int]:
    """The process and all below it. Not its group: PostgreSQL gives each of its children one of their own."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [process.pid]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _signal(process: Process, number: signal.Signals) -> None:
    for pid in family(process):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
