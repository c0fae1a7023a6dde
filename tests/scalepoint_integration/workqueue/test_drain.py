"""One loop for all queues: fresh rows and rows that were tried before take turns, and what is poisonous stays alone."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from scalepoint_integration import queues, workqueue
from scalepoint_integration.models import Case, ImagePull, InboundEvent, Notice, OutboundEvent, Service, SettlementPull
from scalepoint_integration.queues import Queue
from scalepoint_integration.workqueue import LeaseLost
from scalepoint_integration.workqueue.drain import drain, due
from tests.support.world import World, assignment, receive

ROWS = pytest.mark.parametrize("queue", queues.QUEUES, ids=lambda queue: queue.name)
turns: list[list[int]] = []
poison: set[int] = set()


class Killed(BaseException):
    """What ends a worker, and no ``except Exception`` holds back."""


def work(rows: Sequence[Any]) -> None:
    turns.append([row.pk for row in rows])
    if poison & set(turns[-1]):
        raise Killed
    for row in rows:
        with workqueue.finish(row):
            pass


def slow_work(rows: Sequence[Any]) -> None:
    work(rows)
    time.sleep(0.25)


def watched(queue: Queue, **changes: Any) -> Queue:
    """The row of the table, with a work that writes down what it is given."""
    turns.clear()
    poison.clear()
    return replace(queue, work=f"{__name__}.work", **changes)


def make(queue: Queue, world: World, count: int, groups: int = 1) -> list[Any]:
    """Due rows of the queue, the oldest first. Each may be worked now; those of a queue with ``together`` are of so
    many groups in turn."""
    world.connection.send_messages = True
    world.connection.save()
    case = Case.objects.create(connection=world.connection, number="20310506-07")
    service = Service.objects.create(case=case, service_id="s")
    users = [get_user_model().objects.create_user(f"user {number}") for number in range(groups)]
    if queue is queues.EVENTS:
        rows: list[Any] = receive(world, *({"eventType": "x", "n": number} for number in range(count)))
        return sorted(rows, key=lambda row: int(row.pk))
    made: dict[Queue, Any] = {
        queues.IMAGES: lambda key: ImagePull(service=service, key=key),
        queues.SETTLEMENTS: lambda key: SettlementPull(connection=world.connection, case=case, revision_token=key),
        # About no case: about one and the same they would leave in order.
        queues.OUTBOUND: lambda key: OutboundEvent(connection=world.connection, kind="message", key=key),
        queues.NOTICES: lambda key: Notice(user=users[int(key) % groups], kind="message", key=key),
    }
    rows = [made[queue](str(number)) for number in range(count)]
    for row in rows:
        row.save()
    return rows


def age(queue: Queue, rows: Sequence[Any], **changes: Any) -> None:
    model = apps.get_model(queue.model)
    model._default_manager.filter(pk__in=[row.pk for row in rows]).update(available_at=Now(), **changes)


def attempts(queue: Queue) -> dict[int, int]:
    return dict(apps.get_model(queue.model)._default_manager.values_list("pk", "attempts"))


@ROWS
def test_behind_one_turn_of_fresh_rows_an_older_retry_is_second(queue: Queue, world: World) -> None:
    retry, *fresh = make(queue, world, 7, groups=7)
    age(queue, [retry], attempts=3)
    assert due(queue)
    assert drain(watched(queue, batch=1)) == 7
    assert turns == [[fresh[0].pk], [retry.pk], *([row.pk] for row in fresh[1:])]
    assert not due(queue)


@ROWS
def test_a_batch_of_fresh_rows_is_one_turn(queue: Queue, world: World) -> None:
    retry, *fresh = make(queue, world, 7, groups=7)
    age(queue, [retry], attempts=3)
    drain(watched(queue))
    size = min(queue.batch or 50, 6)
    assert turns.index([retry.pk]) == size
    assert turns[:size] == [[row.pk] for row in fresh[:size]]


@ROWS
def test_retries_do_not_starve_fresh_rows(queue: Queue, world: World) -> None:
    rows = make(queue, world, 7, groups=7)
    age(queue, rows[:6], attempts=3)
    drain(watched(queue))
    assert turns[0] == [rows[6].pk]
    assert len(turns) == 7


@ROWS
def test_a_poisonous_row_harms_only_what_is_worked_with_it(queue: Queue, world: World) -> None:
    rows = make(queue, world, 6, groups=3)
    age(queue, rows, attempts=3)
    queue = watched(queue)
    poison.add(rows[0].pk)
    group = {row.pk for row in rows if queue.together and row.user_id == rows[0].user_id} or {rows[0].pk}
    assert len(group) == (2 if queue.together else 1)
    with pytest.raises(Killed):
        drain(queue)
    assert attempts(queue) == {row.pk: 4 if row.pk in group else 3 for row in rows}
    drain(queue)  # the next worker is not held up by it
    assert {pk for turn in turns[1:] for pk in turn} == {row.pk for row in rows} - group


def test_what_could_not_be_mailed_before_goes_out_as_one_mail_for_each_person_and_kind(world: World) -> None:
    rows = make(queues.NOTICES, world, 6, groups=2)
    age(queues.NOTICES, rows, attempts=3)
    Notice.objects.filter(pk=rows[0].pk).update(kind="silence")
    assert drain(watched(queues.NOTICES)) == 3
    assert sorted(map(sorted, turns)) == sorted(
        [[rows[0].pk], [rows[2].pk, rows[4].pk], [rows[1].pk, rows[3].pk, rows[5].pk]]
    )


@ROWS
def test_nothing_is_begun_after_half_a_lease(queue: Queue, world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"LEASE_SECONDS": 0.4}
    first, *others = make(queue, world, 3, groups=3)
    assert drain(replace(watched(queue, batch=3), work=f"{__name__}.slow_work")) == 1
    assert turns == [[first.pk]]
    assert attempts(queue) == {first.pk: 1, **{row.pk: 0 for row in others}}  # handed back, no attempt used


def test_a_row_that_somebody_else_took_over_ends_nothing(world: World) -> None:
    rows = make(queues.EVENTS, world, 2)
    claimed = workqueue.claim(InboundEvent.objects.filter(pk=rows[0].pk), 1)
    age(queues.EVENTS, rows[:1])
    drain(watched(queues.EVENTS))
    with pytest.raises(LeaseLost), workqueue.finish(claimed[0]):
        pass
    assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}


def test_the_statements_for_an_event_do_not_grow(world: World) -> None:
    """Counted before there was one loop for all queues: 45 for one assignment, 27 for each one more of a batch, 6 to
    see that there is nothing."""
    for count, most in ((1, 45), (5, 45 + 4 * 27), (0, 6)):
        if count:
            receive(world, *(assignment(10 * count + number) for number in range(count)))
        with CaptureQueriesContext(connection) as statements:
            assert drain(queues.EVENTS) == count
        assert len(statements) <= most
