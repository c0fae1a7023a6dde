"""Processes that live in a private folder, and vanish with it, however the program ends that made them.

    with Household("example-") as house:
        process = house.spawn(["sleep", "100"], log=house.path / "sleep.log")

Three nets, because each has a hole:
1. the ``with`` block, for an orderly end;
2. PR_SET_PDEATHSIG: the kernel ends our direct children when we are killed with -9. It knows no grandchildren (the
   pool of a Celery worker, the workers of granian), and it is Linux alone;
3. a guard, one small process that waits for our end of a pipe to close, then kills the groups and takes the folder.
"""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

Process = subprocess.Popen[bytes]

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

# Lines "+123" and "-123" say which process groups live. A shell could not forget a group; a number that the system
# has given to somebody else since must never be killed. A folder fails to go while a server still writes into it.
_GUARD = """
import os, shutil, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
for _ in range(100):
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if not os.path.exists(sys.argv[1]):
        break
    time.sleep(0.1)
"""


class Household:
    """A private folder and the processes in it. Make it, and spawn, in the main thread: the kernel's signal (2) comes
    when the *thread* ends that spawned."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=_temp_root()))
        if os.geteuid() == 0:
            self.path.chmod(0o711)  # PostgreSQL runs as nobody and must get through to its own folder
        self._processes: list[Process] = []
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def __enter__(self) -> "Household":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def folder(self, name: str, account: tuple[int, int] | None = None) -> Path:
        """A folder inside that only its owner can look into."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        if account:
            os.chown(path, *account)
        return path

    def spawn(
        self,
        args: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: tuple[int, int] | None = None,
        last_signal: signal.Signals = signal.SIGKILL,
    ) -> Process:
        """Start a process in a session of its own, so that the terminal's Ctrl-C reaches us alone. ``last_signal`` is
        what it gets when we are killed; ``account`` is the user and group to become."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(each) for each in args],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                user=account[0] if account else None,
                group=account[1] if account else None,
                extra_groups=[] if account else None,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid(), last_signal),
            )
        self._tell(f"+{process.pid}")
        self._processes.append(process)
        return process

    def stop(self, *processes: Process, first: signal.Signals = signal.SIGTERM, seconds: float = 5.0) -> None:
        """Ask all of them at once, wait a while, then kill their groups. Also for what has ended already: its
        children may not have."""
        ours = [each for each in processes if each in self._processes]
        for each in ours:
            if not ended(each):
                os.kill(each.pid, first)
        wait_for(lambda: all(map(ended, ours)), seconds)
        for each in ours:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(each.pid, signal.SIGKILL)
        # A kill takes a moment. Whoever starts the same thing again must not meet the old one.
        wait_for(lambda: not any(members(each.pid) for each in ours), 5)
        for each in ours:
            each.wait()
            self._processes.remove(each)
            self._tell(f"-{each.pid}")

    def close(self) -> None:
        """End all that still runs, and remove the folder. Twice is fine."""
        self.stop(*reversed(self._processes))
        if self._guard.stdin and not self._guard.stdin.closed:
            with suppress(BrokenPipeError):
                self._guard.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(15)
        shutil.rmtree(self.path, ignore_errors=True)  # nothing is left to do, unless somebody killed the guard

    def _tell(self, line: str) -> None:
        assert self._guard.stdin  # noqa: S101  for the type checker
        with suppress(BrokenPipeError):
            self._guard.stdin.write(f"{line}\n".encode())
            self._guard.stdin.flush()


def ended(process: Process) -> bool:
    """Whether it has ended, *without* collecting it as ``poll`` does: until it is collected, the system can't give
    the number of its group to anybody else, and the group is safe to kill."""
    if process.returncode is not None:
        return True
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def members(group: int) -> list[int]:
    """The living processes of a group. Asking the kernel with signal 0 would not do: in a container whose first
    process collects nobody, the dead stay in their group for ever."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, number = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(number) == group and state not in "ZX":
                found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Wait until the condition holds, at most so long. Says whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on.

    Below the range that the system takes for outgoing connections (from 32768 on). A port out of that range can be
    lost while its server restarts, even to a client that tries to reach it: on loopback such a client can connect to
    itself, and the server never gets its port back.
    """
    while True:
        port = random.randrange(20000, 32000)  # noqa: S311  no secret
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Whether a server could listen there now. It may be gone a moment later: who starts a server tries again."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def tail(log: Path, lines: int = 25) -> str:
    """The end of a log file, for a message."""
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


def open_to_all(path: Path) -> bool:
    """Whether any user may enter and read this, by the modes of all folders on the way."""
    path = path.resolve()
    on_the_way = all(parent.stat().st_mode & 0o001 for parent in path.parents)
    return on_the_way and path.stat().st_mode & 0o005 == 0o005


def _temp_root() -> Path:
    """The folder for temporary files; as root one that other users can reach, which TMPDIR=/root/tmp is not."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108  mkdtemp makes it private
    if os.geteuid() != 0:
        return places[0]
    return next((place for place in places if place.is_dir() and open_to_all(place)), places[0])


def end_with_parent(last_signal: signal.Signals) -> None:
    """Ask the kernel to send us this when our parent ends. Linux alone; elsewhere nothing happens."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(last_signal))


def _die_with(parent: int, last_signal: signal.Signals) -> Callable[[], None]:
    """What the child does between fork and exec. Popen has changed the user by then, which matters: the kernel
    forgets the wish on a change of user."""

    def die_with_parent() -> None:
        end_with_parent(last_signal)
        if os.getppid() != parent:  # killed between the fork and the wish
            os._exit(1)

    return die_with_parent
