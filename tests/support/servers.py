"""A pytest plugin: PostgreSQL and Redis for the tests, unless DATABASE_URL and REDIS_URL name others.

It is a plugin (``-p tests.support.servers`` in pyproject.toml) because Django's settings are read before any
conftest.py is. The process that starts the tests starts the servers; the workers of ``-n`` inherit its environment, and
each takes a Redis database of its own. They die with that process, however it ends.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devtools.processes import Household
from devtools.servers import Postgres, Redis


@pytest.hookimpl(wrapper=True)  # a wrapper runs before pytest-django's, which reads the settings
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    options = early_config.known_args_namespace
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        os.environ["REDIS_URL"] = _with_database(os.environ["REDIS_URL"], 1 + int(worker.removeprefix("gw")))
    elif not (options.help or options.version or getattr(options, "collectonly", False)):
        _start(early_config)
    return (yield)


@pytest.fixture
def household() -> Iterator[Household]:
    """A private folder for processes, which end with the test."""
    with Household("scalepoint-test-") as house:
        yield house


def _start(config: pytest.Config) -> None:
    house = Household("scalepoint-tests-")
    config.add_cleanup(house.close)
    os.environ.setdefault("PRIVATE_ROOT", str(house.folder("private")))
    for name, server in (("DATABASE_URL", Postgres(house)), ("REDIS_URL", Redis(house))):
        if not os.environ.get(name):
            server.start()
            os.environ[name] = server.url


def _with_database(url: str, number: int) -> str:
    """The same server, another database. A server that was given to us has 16, and 0 is not the workers'."""
    return urlsplit(url)._replace(path=f"/{(number - 1) % 15 + 1}").geturl()


def under(folder: str) -> list[int]:
    """The processes that were started with this folder or stand in it: none, when all should be gone."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if folder.encode() in (entry / "cmdline").read_bytes() or folder in str((entry / "cwd").readlink()):
                found.append(int(entry.name))
    return found
