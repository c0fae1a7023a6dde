"""Who polls: one at a time, whom nobody switched off, and each connection in its turn."""

import io
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.utils import timezone
from pytest_django import Settings

from scalepoint_integration import client, errors, queues
from scalepoint_integration.client import Batch
from scalepoint_integration.models import Connection, InboundEvent, PollerState
from scalepoint_integration.receiving import poller
from scalepoint_integration.workqueue import PermanentError, RetryableError
from tests.scalepoint_integration.receiving.poller.conftest import Queue, fetch, free_again, wrapped
from tests.support.world import World, make_world

EVENTS = InboundEvent.objects


def test_let_go_gives_back_what_is_held_and_the_answer_is_not_stored(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_to_end(connection: Connection, after: str = "", next_url: str = "") -> Batch:
        poller.let_go()
        return Batch([wrapped(1)], "_1", "")

    monkeypatch.setattr(client, "receive", told_to_end)
    assert fetch(world) == 0
    assert (EVENTS.count(), world.connection.poller_state.leased_until) == (0, None)
    assert poller.due().exists()


def test_the_time_that_scalepoint_names_holds_for_every_poller(world: World, queue: Queue) -> None:
    queue.gives = [RetryableError("429", seconds=120, error=errors.SCALEPOINT_AWAY)]
    poller.poll(world.connection, 15)
    until = PollerState.objects.get().leased_until
    assert until and timedelta(seconds=115) < until - timezone.now() <= timedelta(seconds=120)
    assert poller.poll(world.connection, 15) == 0
    assert len(queue.asked) == 1
    free_again()
    fetch(world)
    assert len(queue.asked) == 2


def test_who_is_switched_off_is_not_polled(world: World, queue: Queue) -> None:
    for change in ({"switch": "off"}, {"switch": "on", "poll": False}):
        Connection.objects.update(**change)
        assert (fetch(world), poller.drain()) == (0, 0)
    assert queue.asked == []
    Connection.objects.update(poll=True, switch="paused")  # on hold, cases are stored
    queue.gives = [Batch([wrapped(1)], "_1", "")]
    assert fetch(world) == 1


def test_switched_off_while_it_is_polled(world: World, queue: Queue) -> None:
    PollerState.objects.update(cursor="_0")

    def off() -> bool:
        Connection.objects.update(poll=False)
        return False

    poller.poll(world.connection, 60, stopped=off)
    assert len(queue.asked) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_pollers_one_works(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(poll=True)
    at_once, most, lock = 0, 0, threading.Lock()
    give = queue.receive

    def slowly(*args: Any, **kwargs: Any) -> Batch:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.1)
        with lock:
            at_once -= 1
        return give(*args, **kwargs)

    monkeypatch.setattr(client, "receive", slowly)
    queue.gives = [Batch([wrapped(n)], f"_{n}", "") for n in range(5)]
    counts: list[int] = []

    def work() -> None:
        counts.append(poller.poll(world.connection, 60, until_empty=True))
        database.close()

    threads = [threading.Thread(target=work) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (sorted(counts), most, EVENTS.count(), len(queue.asked)) == ([0, 0, 0, 5], 1, 5, 6)


def test_a_poller_that_lost_its_claim_stores_nothing(
    world: World, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_over(connection: Connection, after: str = "", next_url: str = "") -> Batch:
        PollerState.objects.update(leased_until=timezone.now() + timedelta(hours=1), cursor="_9")
        return Batch([wrapped(1)], "_1", "")

    monkeypatch.setattr(client, "receive", taken_over)
    assert fetch(world) == 0
    assert (EVENTS.count(), world.connection.poller_state.cursor) == (0, "_9")
    assert world.connection.poller_state.leased_until is not None  # the new owner's


def test_a_job_takes_one_connection_and_rings_for_the_next(
    world: World, queue: Queue, quick: list[float], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SCALEPOINT = {"DRAIN_SECONDS": 0.0}
    rung: list[queues.Job] = []
    monkeypatch.setattr(poller, "ring", rung.append)
    other = Connection.objects.create(contract_number="77", switch="on", poll=True)
    polled = []
    for _each in range(4):
        before = {row.pk: row.polled_at for row in PollerState.objects.all()}
        poller.drain()
        polled += [row.pk for row in PollerState.objects.all() if row.polled_at != before[row.pk]]
    assert polled == [world.connection.pk, other.pk] * 2
    assert set(rung) == {queues.POLL}


def test_the_command_once(world: World, queue: Queue) -> None:
    out, err = io.StringIO(), io.StringIO()
    queue.gives = [Batch([wrapped(1), wrapped(2)], "_2", "")]
    call_command("scalepoint_poll", "--once", stdout=out, stderr=err)
    assert (out.getvalue(), err.getvalue()) == ("2332: 2 events.\n", "")
    queue.gives = [PermanentError(errors.LOGIN_REFUSED)]
    call_command("scalepoint_poll", "--once", "--contract", "2332", stdout=out, stderr=err)
    assert "refused our login" in err.getvalue()
    with pytest.raises(CommandError, match="77"):
        call_command("scalepoint_poll", "--contract", "77")
