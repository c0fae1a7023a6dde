"""In which order and how often it is sent, on PostgreSQL with connections of its own where several work at once."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from scalepoint_integration import errors, queues, workqueue
from scalepoint_integration.models import OutboundEvent
from scalepoint_integration.sending import outbox
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.workqueue import PermanentError, RetryableError
from scalepoint_integration.workqueue.drain import drain
from tests.scalepoint_integration.sending.conftest import Scalepoint, due_now, make_case, sending_world, texts, write
from tests.support.world import World

ROWS = OutboundEvent.objects


def test_a_kind_that_is_held_back_does_not_hold_up_another(world: World, scalepoint: Scalepoint) -> None:
    case = make_case(world)
    write(case, "a")
    outbox.send_payment_status(case, "u", "processed")
    type(world.connection).objects.update(send_messages=False)
    drain(queues.OUTBOUND)
    assert [kind for kind, _body in scalepoint.sent] == ["payment_status_updated"]


def test_about_one_case_all_leaves_in_order_and_another_case_is_not_held_up(
    world: World, scalepoint: Scalepoint
) -> None:
    one, two = make_case(world, 1), make_case(world, 2)
    for case, text in ((one, "1a"), (one, "1b"), (two, "2a"), (one, "1c"), (two, "2b")):
        write(case, text)
    scalepoint.errors = [RetryableError("away", error=errors.SCALEPOINT_AWAY)]
    assert drain(queues.OUTBOUND) == 3
    assert texts(scalepoint) == ["1a", "2a", "2b"]
    due_now()
    drain(queues.OUTBOUND)
    assert texts(scalepoint)[3:] == ["1a", "1b", "1c"]
    assert set(ROWS.values_list("status", flat=True)) == {"done"}


def test_a_sending_that_failed_for_good_lets_the_next_one_go(world: World, scalepoint: Scalepoint) -> None:
    case = make_case(world)
    first, second = write(case, "a"), write(case, "b")
    scalepoint.errors = [PermanentError(errors.NOT_ACCEPTED, "422 no")]
    drain(queues.OUTBOUND)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.error_code, first.attempts) == ("failed", "SP-405", 1)
    assert second.status == "done"
    due_now()
    assert drain(queues.OUTBOUND) == 0


def test_an_unknown_outcome_is_repeated_under_the_same_correlation_id(world: World, scalepoint: Scalepoint) -> None:
    write(make_case(world), "a")
    scalepoint.errors = [RetryableError("no answer in time", error=errors.SCALEPOINT_AWAY), OSError("broken")]
    for _each in range(3):
        drain(queues.OUTBOUND)
        due_now()
    bodies = [body for _kind, body in scalepoint.sent]
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]
    assert ROWS.get().status == "done"


def test_the_time_that_scalepoint_names_is_waited(world: World, scalepoint: Scalepoint) -> None:
    item = write(make_case(world), "a")
    scalepoint.errors = [RetryableError("429", seconds=120, error=errors.SCALEPOINT_AWAY)]
    drain(queues.OUTBOUND)
    item.refresh_from_db()
    assert (item.status, item.error_code) == ("pending", "SP-401")
    assert timedelta(seconds=115) < item.available_at - timezone.now() <= timedelta(seconds=120)


@pytest.mark.django_db(transaction=True)
def test_two_drains_at_once_send_each_once_and_in_order(
    scalepoint: Scalepoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sending_world()
    cases = [make_case(world, number) for number in range(4)]
    for text in "abcde":
        for case in cases:
            write(case, text)
    take, counts = scalepoint.take, []
    monkeypatch.setattr(Scalepoint, "take", lambda self, kind, body: (time.sleep(0.005), take(kind, body))[1])

    def work() -> None:
        # A drain ends where all that is left waits for what another holds; the next ring comes.
        while ROWS.filter(status="pending").exists():
            counts.append(drain(queues.OUTBOUND))
        connection.close()

    threads = [threading.Thread(target=work) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == len(scalepoint.sent) == 20
    for case in cases:
        mine = [body["message"]["text"] for _kind, body in scalepoint.sent if body["case"]["token"] == case.token]
        assert mine == list("abcde")
    assert set(ROWS.values_list("claims", flat=True)) == {1}


def test_who_lost_the_lease_leaves_the_row_to_the_new_owner(
    world: World, scalepoint: Scalepoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = write(make_case(world), "a")
    [claimed] = workqueue.claim(outbox.sendable(), 1)
    ROWS.update(claims=9)
    outbox.send([claimed])
    item.refresh_from_db()
    assert (item.status, item.answer) == ("pending", "")


def test_a_sweep_rings_and_gives_up_what_killed_its_worker(
    world: World, scalepoint: Scalepoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[queues.Job] = []
    first, second = write(make_case(world), "a"), write(make_case(world, 2), "b")
    ROWS.filter(pk=first.pk).update(attempts=99)
    sweep(rung.append)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("failed", "pending")
    assert rung == [queues.OUTBOUND]
