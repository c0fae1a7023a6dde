"""A household: its processes, and what is left of them."""

import os
import signal
import sys
from pathlib import Path

from devtools.processes import Household, ended, free_port, is_free, members, open_to_all, wait_for

# A parent with a child in its own group, as Celery's pool and granian's workers are, and deaf to a polite request.
FAMILY = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    time.sleep(600)
time.sleep(600)
"""


def family(house):
    process = house.spawn([sys.executable, "-c", FAMILY], log=house.path / "family.log")
    assert wait_for(lambda: len(members(process.pid)) == 2, 5)
    return process


def test_stop_kills_the_whole_group_of_a_process_that_does_not_listen(household):
    process = family(household)
    household.stop(process, seconds=0.3)
    assert members(process.pid) == []


def test_stop_kills_the_children_of_a_process_that_is_dead_already(household):
    process = family(household)
    os.kill(process.pid, signal.SIGKILL)
    assert wait_for(lambda: ended(process), 5)
    assert len(members(process.pid)) == 1
    household.stop(process)
    assert members(process.pid) == []


def test_close_leaves_no_process_and_no_folder_and_may_come_twice():
    house = Household("scalepoint-test-")
    process = house.spawn(["sleep", "600"], log=house.path / "sleep.log")
    house.folder("inside").joinpath("file").write_text("x")
    house.close()
    house.close()
    assert ended(process)
    assert not house.path.exists()


def test_close_works_without_the_guard():
    house = Household("scalepoint-test-")
    process = house.spawn(["sleep", "600"], log=house.path / "sleep.log")
    house._guard.kill()
    house._guard.wait()
    house.close()
    assert ended(process)
    assert not house.path.exists()


def test_a_private_folder_is_closed(household):
    assert household.folder("inside").stat().st_mode & 0o777 == 0o700
    assert household.path.stat().st_mode & 0o066 == 0


def test_ports_come_from_below_the_systems_own_range():
    port = free_port()
    assert 20000 <= port < 32000
    assert is_free(port)


def test_a_folder_in_a_closed_one_is_not_open_to_all(tmp_path):
    inside = tmp_path / "closed" / "open"
    inside.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    assert not open_to_all(inside)
    assert open_to_all(Path("/usr/bin"))
