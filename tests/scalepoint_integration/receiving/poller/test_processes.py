"""Fetching with real processes: one is told to end in the middle of a call, one is killed in the worst moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.db import connection as database

from devtools.processes import wait_for
from scalepoint_integration.models import InboundEvent, PollerState
from tests.support.world import make_world

ROOT = Path(__file__).resolve().parents[4]
EVENTS = InboundEvent.objects

_HELD_OPEN = """
import time, django; django.setup()
from django.core.management import call_command
from scalepoint_integration import client
def receive(connection, after="", next_url=""):
    if after:
        print("held", flush=True); time.sleep(60)
    return client.Batch([{"eventType": "x"}], "_1", "")
client.receive = receive
call_command("scalepoint_poll")
print("ended", flush=True)
"""


# Dies with events and cursor written and nothing committed, the first time.
_KILLED = """
import os, sys, django; django.setup()
from django.core.management import call_command
from scalepoint_integration import client
from scalepoint_integration.receiving import poller
given = {"": ("_1", [1, 2]), "_1": ("_2", [3])}
def receive(connection, after="", next_url=""):
    cursor, numbers = given.get(after, (after, []))
    return client.Batch([{"eventType": "x", "n": n} for n in numbers], cursor, "")
client.receive = receive
store = poller._receive
def dies(pk, events):
    bad = store(pk, events)
    if len(events) == 1 and sys.argv[1] == "die":
        os.kill(os.getpid(), 9)
    return bad
poller._receive = dies
call_command("scalepoint_poll", "--once")
"""


def start(script: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process on the database of the tests."""
    base, _, _name = os.environ["DATABASE_URL"].rpartition("/")
    url = f"{base}/{database.settings_dict['NAME']}"
    env = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.django_db(transaction=True)
def test_killed_between_events_and_cursor_it_goes_on_where_it_was() -> None:
    make_world(poll=True)
    process = start(_KILLED, "die")
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    # What stood in the transaction is gone as a whole; the claim stands, so nobody else begins before it runs out.
    assert (EVENTS.count(), PollerState.objects.get().cursor) == (2, "_1")
    out, _err = start(_KILLED, "live").communicate(timeout=30)
    assert (EVENTS.count(), out) == (2, b"")
    PollerState.objects.update(leased_until=None)
    out, _err = start(_KILLED, "live").communicate(timeout=30)
    assert out == b"2332: 1 events.\n"
    assert (EVENTS.count(), PollerState.objects.get().cursor) == (3, "_2")


@pytest.mark.django_db(transaction=True)
def test_told_to_end_in_a_long_poll_the_process_ends_within_seconds() -> None:
    make_world(poll=True)
    process = start(_HELD_OPEN)
    try:
        assert wait_for(lambda: PollerState.objects.get().cursor == "_1", 30)
        assert process.stdout and process.stdout.readline() == b"held\n"
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(10) == 0, rest
        assert time.monotonic() - begun < 5
        assert rest.endswith(b"ended\n")
    finally:
        process.kill()
    assert EVENTS.count() == 1
    assert PollerState.objects.get().leased_until is None  # another may go on at once
