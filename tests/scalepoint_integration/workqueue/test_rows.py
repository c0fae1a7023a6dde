"""The queue's promises, on PostgreSQL with connections of its own."""

import threading
from datetime import timedelta

import pytest
from django.db import close_old_connections, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from scalepoint_integration import errors, workqueue
from scalepoint_integration.models import InboundEvent
from scalepoint_integration.workqueue import LeaseLost, NeedsPerson, NotForUs, PermanentError, RetryableError
from tests.support.world import World, make_world, receive

EVENTS = InboundEvent.objects


def store(world: World, count: int) -> list[InboundEvent]:
    return receive(world, [{"eventType": "x", "n": n} for n in range(count)])


def due_now(**which: object) -> None:
    """Let the time pass that a lease or a back-off lasts."""
    EVENTS.filter(**which).update(available_at=Now())


def test_a_claim_takes_the_oldest_counts_and_leases(world: World) -> None:
    rows = sorted(store(world, 5), key=lambda row: row.pk)
    claimed = workqueue.claim(EVENTS.all(), 3)
    assert [row.pk for row in claimed] == [row.pk for row in rows[:3]]
    assert [(row.attempts, row.claims) for row in claimed] == [(1, 1)] * 3
    for row in claimed:
        assert 50 < (row.available_at - timezone.now()).total_seconds() <= 60
    assert [row.pk for row in workqueue.claim(EVENTS.all(), 9)] == [row.pk for row in rows[3:]]
    assert workqueue.claim(EVENTS.all(), 9) == []


def test_rows_that_were_tried_before_are_claimed_apart(world: World) -> None:
    store(world, 3)
    workqueue.claim(EVENTS.all(), 2)
    due_now()
    assert len(workqueue.claim(EVENTS.all(), 9)) == 1
    assert len(workqueue.claim(EVENTS.all(), 1, tried=True)) == 1
    assert len(workqueue.claim(EVENTS.all(), 1, tried=True)) == 1
    assert workqueue.claim(EVENTS.all(), 1, tried=True) == []


@pytest.mark.django_db(transaction=True)
def test_two_claims_at_once_share_nothing() -> None:
    store(make_world(), 40)
    taken: list[list[int]] = []
    start = threading.Barrier(4)

    def take() -> None:
        start.wait()
        mine = []
        while batch := workqueue.claim(EVENTS.all(), 3):
            mine += [row.pk for row in batch]
        taken.append(mine)
        connection.close()

    threads = [threading.Thread(target=take) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    close_old_connections()
    assert sorted(key for mine in taken for key in mine) == sorted(EVENTS.values_list("pk", flat=True))
    assert set(EVENTS.values_list("claims", flat=True)) == {1}


def test_finish_marks_and_effects_go_together(world: World) -> None:
    store(world, 1)
    [row] = workqueue.claim(EVENTS.all(), 1)
    with workqueue.finish(row):
        EVENTS.filter(pk=row.pk).update(case_number="effect")
    row.refresh_from_db()
    assert (row.status, row.case_number) == ("done", "effect")
    assert row.finished_at is not None


def test_who_lost_the_lease_changes_nothing(world: World) -> None:
    store(world, 1)
    [slow] = workqueue.claim(EVENTS.all(), 1)
    due_now()
    [fast] = workqueue.claim(EVENTS.all(), 1, tried=True)
    with pytest.raises(LeaseLost), workqueue.finish(slow):
        EVENTS.filter(pk=slow.pk).update(case_number="of the slow one")
    assert workqueue.fail(slow, RetryableError()) is None
    workqueue.release([slow])
    with workqueue.finish(fast):
        EVENTS.filter(pk=fast.pk).update(case_number="of the fast one")
    row = EVENTS.get()
    assert (row.status, row.case_number, row.attempts, row.claims) == ("done", "of the fast one", 2, 2)


def test_a_retry_by_hand_never_gives_an_old_fence_number_out_again(world: World) -> None:
    store(world, 1)
    [stale] = workqueue.claim(EVENTS.all(), 1)
    EVENTS.update(status="failed")
    assert workqueue.retry(EVENTS.all()) == 1
    [fresh] = workqueue.claim(EVENTS.all(), 1)
    assert (fresh.attempts, fresh.claims) == (1, 2)
    with pytest.raises(LeaseLost), workqueue.finish(stale):
        pass
    assert EVENTS.get().status == "pending"


def test_needs_person_keeps_what_was_written_before_it(world: World) -> None:
    store(world, 1)
    [row] = workqueue.claim(EVENTS.all(), 1)
    with workqueue.finish(row):
        EVENTS.filter(pk=row.pk).update(case_number="seen")
        with transaction.atomic():
            EVENTS.filter(pk=row.pk).update(vendor_id="half made")
            raise NeedsPerson(errors.SEVERAL_CUSTOMERS, reason="28")
    row.refresh_from_db()
    assert (row.status, row.error_code, row.error_facts) == ("failed", "SP-203", {"reason": "28"})
    assert (row.case_number, row.vendor_id) == ("seen", "")


def test_needs_person_of_who_lost_the_lease_keeps_nothing(world: World) -> None:
    store(world, 1)
    [slow] = workqueue.claim(EVENTS.all(), 1)
    due_now()
    workqueue.claim(EVENTS.all(), 1, tried=True)
    with pytest.raises(LeaseLost), workqueue.finish(slow):
        EVENTS.filter(pk=slow.pk).update(case_number="seen")
        raise NeedsPerson(errors.SEVERAL_CUSTOMERS)
    assert EVENTS.get().case_number == ""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NeedsPerson(errors.SEVERAL_CUSTOMERS), "failed", "SP-203"),
        (PermanentError(errors.UNREADABLE), "failed", "SP-104"),
        (NotForUs(errors.UNUSED_TYPE), "ignored", "SP-106"),
        (RetryableError("later"), "pending", "SP-900"),
        (ZeroDivisionError("a fault of ours"), "pending", "SP-900"),
    ],
)
def test_a_failure_names_who_acts(world: World, error: Exception, status: str, code: str) -> None:
    store(world, 1)
    [row] = workqueue.claim(EVENTS.all(), 1)
    assert workqueue.fail(row, error) == status
    row.refresh_from_db()
    assert (row.status, row.error_code, row.finished_at is None) == (status, code, status == "pending")
    assert type(error).__name__ in row.last_error


def test_back_off_doubles_with_jitter_up_to_a_cap_and_the_budget_ends(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"BACKOFF_SECONDS": 5, "BACKOFF_MAX_SECONDS": 40, "MAX_ATTEMPTS": 6}
    store(world, 1)
    pauses = []
    for attempt in range(6):
        due_now()
        [row] = workqueue.claim(EVENTS.all(), 1, tried=attempt > 0)
        workqueue.fail(row, RetryableError())
        row.refresh_from_db()
        pauses.append((row.available_at - timezone.now()).total_seconds())
    assert row.status == "failed"
    for pause, most in zip(pauses, (5, 10, 20, 40, 40), strict=False):
        assert most / 2 - 1 < pause <= most
    assert row.attempts == 6


def test_a_wait_that_the_other_side_asked_for_is_kept(world: World) -> None:
    store(world, 1)
    [row] = workqueue.claim(EVENTS.all(), 1)
    workqueue.fail(row, RetryableError("busy", seconds=900))
    row.refresh_from_db()
    assert row.available_at > timezone.now() + timedelta(seconds=890)


def test_released_rows_are_as_if_never_claimed(world: World) -> None:
    store(world, 2)
    workqueue.release(workqueue.claim(EVENTS.all(), 2))
    claimed = workqueue.claim(EVENTS.all(), 2)
    assert [(row.attempts, row.claims) for row in claimed] == [(1, 2), (1, 2)]


def test_what_kills_its_worker_again_and_again_is_given_up(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"MAX_ATTEMPTS": 2}
    store(world, 2)
    for attempt in range(2):
        due_now()
        workqueue.claim(EVENTS.all(), 1, tried=attempt > 0)
    assert workqueue.give_up(InboundEvent) == []  # the last lease still runs
    due_now()
    assert [row.attempts for row in workqueue.give_up(InboundEvent)] == [2]
    assert sorted(EVENTS.values_list("status", "error_code")) == [("failed", "SP-900"), ("pending", "")]


def test_a_retry_leaves_what_a_worker_holds(world: World) -> None:
    store(world, 3)
    held, failed, waiting = workqueue.claim(EVENTS.all(), 3)
    workqueue.fail(failed, PermanentError(errors.UNREADABLE))
    workqueue.fail(waiting, RetryableError())
    assert workqueue.retry(EVENTS.all()) == 2
    assert [row.pk for row in workqueue.claim(EVENTS.all(), 9)] == [failed.pk, waiting.pk]
    held.refresh_from_db()
    assert (held.attempts, held.claims) == (1, 1)
