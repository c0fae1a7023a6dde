"""Keeping things running, and knowing when to give up."""

import os
import signal
import time
from pathlib import Path

import pytest

from devtools.processes import wait_for
from devtools.supervisor import Failed, Stopped, Supervisor


@pytest.fixture
def supervisor(household):
    changes = []
    supervisor = Supervisor(household, {}, cwd=Path("/"), changed=lambda: changes.append(1))
    supervisor.changes = changes
    return supervisor


def test_a_part_that_can_not_run_ends_the_start_with_the_end_of_its_log(supervisor):
    supervisor.keep("web", lambda: ["no_such_module"])
    with pytest.raises(Failed, match=r"(?s)web does not run.*No module named no_such_module"):
        supervisor.until(lambda: False, "the web", seconds=30)


def test_a_killed_part_runs_again_as_its_command_then_says(supervisor):
    supervisor.settled = True
    ports = iter(["0", "0"])
    supervisor.keep("files", lambda: ["http.server", next(ports), "--bind", "127.0.0.1"])
    first = supervisor.pids()["files"]
    os.kill(first, signal.SIGKILL)
    supervisor.until(lambda: supervisor.pids()["files"] != first, "the restart", seconds=10)
    assert supervisor.changes == [1]
    assert next(ports, None) is None


def test_waiting_in_vain_ends_with_what_was_waited_for(supervisor):
    with pytest.raises(Failed, match="in vain for a miracle"):
        supervisor.until(lambda: False, "a miracle", seconds=0.2)


def test_a_signal_ends_it_at_the_next_pause(supervisor):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        supervisor.take_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        assert wait_for(lambda: supervisor.stopping, 5)
        started = time.monotonic()
        with pytest.raises(Stopped):
            supervisor.run("long", "http.server", "0")
        assert time.monotonic() - started < 5
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
