import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from crm.models import Customer, InsuranceCompany
from devtools.processes import wait_for
from scalepoint_integration import queues, workqueue
from scalepoint_integration.events import EVENTS
from scalepoint_integration.handling import run
from scalepoint_integration.models import Case, InboundEvent
from scalepoint_integration.payloads.envelope import read_envelope
from scalepoint_integration.receiving import store
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.workqueue import RetryableError
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task
from tests.support.world import World, assignment, handle, make_world, merged, receive

EVENT = assignment()


def broken(event: InboundEvent, payload: Any, now: Any) -> None:
    """A host's handler that writes and then fails."""
    Customer.objects.create(name="half made")
    raise RetryableError("the register is away")


def slow(event: InboundEvent, payload: Any, now: Any) -> None:
    counted(event, payload, now)
    time.sleep(0.3)


def counted(event: InboundEvent, payload: Any, now: Any) -> None:
    Customer.objects.create(name=payload["n"])


def test_a_duplicate_of_a_failed_event_is_tried_again(world: World) -> None:
    world.default_values.phone_as_customer_number = True
    world.default_values.save()
    no_phone = merged(EVENT, {"policyHolder": {"phoneNumber": None}})
    [event] = handle(world, no_phone)
    assert (event.status, event.error_code) == ("failed", "SP-204")
    world.default_values.phone_as_customer_number = False
    world.default_values.save()
    [again] = handle(world, no_phone)
    assert (again.pk, again.status) == (event.pk, "done")
    assert Task.objects.count() == 1
    [after] = handle(world, no_phone)
    assert (after.attempts, after.claims) == (1, 2)  # done is left alone
    assert Task.objects.count() == 1


def test_the_default_values_are_read_with_the_connection_of_a_batch(world: World) -> None:
    receive(world, assignment(1), assignment(2))
    with CaptureQueriesContext(connection) as queries:
        drain(queues.EVENTS)
    assert Task.objects.count() == 2
    table = '"scalepoint_integration_defaultvalues"'
    read = [query["sql"] for query in queries if table in query["sql"]]
    assert read
    assert not [sql for sql in read if f"FROM {table}" in sql]  # in one join, and not once more for each event


def test_a_failing_handler_leaves_nothing_and_comes_again(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"HANDLERS": {"x": f"{__name__}.broken"}}
    [event] = handle(world, {"eventType": "x", "n": 1})
    assert (event.status, event.attempts) == ("pending", 1)
    assert event.available_at > timezone.now()
    assert Customer.objects.count() == 0
    settings.SCALEPOINT = {"HANDLERS": {"x": f"{__name__}.counted"}}
    InboundEvent.objects.update(available_at=timezone.now())
    sweep()
    event.refresh_from_db()
    assert (event.status, event.error_code, event.last_error) == ("done", "", "")
    assert Customer.objects.count() == 1


def test_an_unknown_type_is_ignored_and_can_be_replayed_after_an_upgrade(world: World, settings: Settings) -> None:
    [event] = handle(world, {"eventType": "brandNew", "n": 1})
    assert (event.event_type, event.status, event.error_code) == ("brand_new", "ignored", "SP-106")
    settings.SCALEPOINT = {"HANDLERS": {"brand_new": f"{__name__}.counted"}}
    replayed = run.replay(event)
    with pytest.raises(run.NotReplayable):
        run.replay(event)
    drain(queues.EVENTS)
    event.refresh_from_db()
    replayed.refresh_from_db()
    assert (event.status, replayed.status, replayed.replay_of) == ("ignored", "done", event)
    assert Customer.objects.count() == 1
    assert run.replay(replayed).replay_of == event


def test_every_documented_type_is_handled_or_ignored_on_purpose(world: World) -> None:
    rows = handle(world, *({"eventType": name} for name, row in EVENTS.items() if row.handler is None))
    assert {(row.status, row.error_code) for row in rows} == {("ignored", "SP-106")}
    assert Case.objects.count() == Task.objects.count() == 0


def test_on_hold_nothing_is_made_until_it_is_switched_on(world: World) -> None:
    world.connection.switch = "paused"
    world.connection.save()
    [event] = handle(world, EVENT)
    assert (event.status, event.attempts) == ("pending", 0)
    world.connection.switch = "on"
    world.connection.save()
    drain(queues.EVENTS)
    assert Task.objects.count() == 1


def test_what_a_person_put_right_takes_the_waiting_events_along(world: World) -> None:
    world.default_values.phone_as_customer_number = True
    world.default_values.save()
    twins = [Customer.objects.create(name=name, customer_number="00112233") for name in ("Den ene", "Den anden")]
    later = merged(EVENT, {"eventType": "repair_updated", "timestamp": "2031-05-07T00:00:00Z"})
    rows = handle(world, EVENT, later)
    assert {row.error_code for row in rows} == {"SP-203"}
    case = Case.objects.get()
    assert case.problem_facts == {"reason": "00112233", "customers": [twin.pk for twin in twins]}
    case.customer = twins[1]
    case.save()
    assert workqueue.retry(InboundEvent.objects.filter(pk=rows[0].pk)) == 1
    drain(queues.EVENTS)
    assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}
    case.refresh_from_db()
    assert (case.status, case.problem_code) == ("in_progress", "")
    assert Task.objects.get().customer == twins[1]


@pytest.mark.parametrize("by", ["adding the company", "choosing the company"])
def test_an_unknown_company_put_right_is_the_same_case(world: World, by: str) -> None:
    company = {"insuranceCompany": {"alias": "ny-eksempel"}}
    event = {"eventType": "repair_service_requested", "case": {"number": "20310506-09", "policy": company}}
    [row] = [InboundEvent.objects.get(pk=store.receive(world.connection.pk, None, [read_envelope(event)])[0].id)]
    drain(queues.EVENTS)
    case = Case.objects.get()
    assert (case.status, case.problem_code, case.problem_facts) == ("needs_action", "SP-111", {"alias": "ny-eksempel"})
    if by == "adding the company":
        InsuranceCompany.objects.create(name="Ny Forsikring (eksempel)", alias="ny-eksempel")
    else:
        case.insurer = world.syd
        case.save()
    workqueue.retry(InboundEvent.objects.filter(pk=row.pk))
    drain(queues.EVENTS)
    case = Case.objects.get()
    assert (case.status, case.problem_code) == ("in_progress", "")
    assert Task.objects.get().insurer == case.insurer


def test_a_slow_batch_hands_back_what_it_can_not_finish_in_time(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"HANDLERS": {"x": f"{__name__}.slow"}, "LEASE_SECONDS": 0.5}
    receive(world, *({"eventType": "x", "n": n} for n in range(3)))
    drain(queues.EVENTS)
    waiting = InboundEvent.objects.filter(status="pending")
    assert (Customer.objects.count(), waiting.count()) == (1, 2)
    assert set(waiting.values_list("attempts", flat=True)) == {0}


@pytest.mark.django_db(transaction=True)
def test_who_asks_for_another_try_sees_its_end_although_a_worker_is_as_quick() -> None:
    """A worker that never rests beside it: without the claim in the same transaction it wins one time in a few."""
    world = make_world()
    stop = Event()

    def worker() -> None:
        while not stop.is_set():
            drain(queues.EVENTS)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(worker)
        try:
            for number in range(2, 12):
                world.nord.active = False
                world.nord.save()
                (event,) = receive(world, assignment(number))
                mine = InboundEvent.objects.filter(pk=event.pk)
                assert wait_for(lambda mine=mine: mine.get().status == "failed", 10)
                world.nord.active = True
                world.nord.save()
                assert run.retry_now(mine, None) == 1
                assert mine.get().status == "done"
        finally:
            stop.set()
        busy.result(10)
    assert Task.objects.count() == 10
