"""Keeps servers and processes running: whatever dies is started again, on the same address, until somebody asks for
the end. The demo stands on it; a production site has systemd or the like for this."""

import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from devtools.processes import Household, Process, ended, tail
from devtools.servers import Postgres, Redis, ServiceError


class Failed(Exception):
    """Why it can't go on; the text is for the person who started it."""


class Stopped(Exception):
    """Somebody asked for the end."""


@dataclass
class Part:
    """A process that must run. ``command`` is asked at each start: it may be another one the second time."""

    name: str
    command: Callable[[], list[str]]
    log: Path
    process: Process | None = None
    started: float = 0.0
    again: float = 0.0
    quick_deaths: int = 0


@dataclass
class Supervisor:
    """All modules are run by our own Python in ``cwd`` with ``environment`` and nothing else. ``changed`` is called
    after a restart. Until ``settled``, what does not come up ends everything; later it is tried again for ever."""

    house: Household
    servers: Mapping[str, Postgres | Redis]
    cwd: Path
    changed: Callable[[], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    settled: bool = False
    stopping: bool = False

    def __post_init__(self) -> None:
        self.logs = self.house.folder("logs")

    def take_signals(self) -> None:
        def stop(*_: object) -> None:
            # Only a mark: raised out of any line, an exception could lose a process between its start and its note.
            self.stopping = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else nohup started us, to outlive the terminal
            signal.signal(signal.SIGHUP, stop)

    def keep(self, name: str, command: Callable[[], list[str]]) -> None:
        """Start a module, and keep it running."""
        self.parts[name] = Part(name, command, self.log(name))
        self._start(self.parts[name])

    def run(self, log: str, *command: object) -> bool:
        """Run a module to its end, tending the others meanwhile. Says whether it succeeded."""
        process = self._spawn([str(each) for each in command], self.log(log))
        while not ended(process):
            self.pause()
        code = process.wait()
        self.house.stop(process)
        return code == 0

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Failed(f"Waited {seconds:.0f} s in vain for {what}.\n{self.tails(*self.parts)}")
            self.pause()

    def pause(self) -> None:
        """A moment of waiting, and a round to see who has died."""
        if self.stopping:
            raise Stopped
        revived = [name for name, server in self.servers.items() if server.ended() and self._restart(name, server)]
        for part in self.parts.values():
            if part.process and ended(part.process) and self._is_due(part):
                say(f"{part.name} has ended and is started again.")
                # First what it left behind: an old pool beside the new one would take the new one's messages.
                self.house.stop(part.process)
                self._start(part)
                revived.append(part.name)
        if revived:
            self.changed()
        time.sleep(0.1)

    def pids(self) -> dict[str, int]:
        parts = {part.name: part.process.pid for part in self.parts.values() if part.process}
        return parts | {name: server.pid for name, server in self.servers.items()}

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def tails(self, *names: str) -> str:
        """The ends of their logs, which go when we go."""
        return "\n".join(f"--- {name}\n{tail(self.log(name), 8)}" for name in names)

    def end(self) -> None:
        """The parts first, all at once; the servers, which they still write to, after them."""
        self.house.stop(*(part.process for part in self.parts.values() if part.process))
        for server in self.servers.values():
            server.stop()

    def _restart(self, name: str, server: Postgres | Redis) -> bool:
        say(f"{name} has ended and is started again.")
        try:
            server.start()
        except ServiceError as error:
            if not self.settled:
                raise
            say(str(error))
            return False
        return True

    def _is_due(self, part: Part) -> bool:
        """Whether a dead part may be started again now. Soon, unless it dies over and over."""
        if not part.again:
            quick = time.monotonic() - part.started < 10
            part.quick_deaths = part.quick_deaths + 1 if quick else 0
            if part.quick_deaths > 5 and not self.settled:
                raise Failed(f"{part.name} does not run:\n{tail(part.log)}")
            part.again = time.monotonic() + (min(0.2 * part.quick_deaths**2, 10) if self.settled else 0.2)
        return time.monotonic() >= part.again

    def _start(self, part: Part) -> None:
        part.process = self._spawn(part.command(), part.log)
        part.started, part.again = time.monotonic(), 0.0

    def _spawn(self, command: Sequence[str], log: Path) -> Process:
        return self.house.spawn([sys.executable, "-m", *command], log=log, env=self.environment, cwd=self.cwd)


def say(line: str) -> None:
    with suppress(BrokenPipeError):  # whoever listened has gone; that is no reason to leave things half ended
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
