"""Fetching: nothing is lost, nothing doubled, and nobody is called in a hot loop."""

from typing import Any

import pytest
from pytest_django import Settings

from scalepoint_integration import errors, queues
from scalepoint_integration.client import Batch
from scalepoint_integration.models import InboundEvent, PollerState, Refusal
from scalepoint_integration.receiving import poller, store
from scalepoint_integration.workqueue import PermanentError, RetryableError
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task
from tests.scalepoint_integration.receiving.poller.conftest import Queue, fetch, free_again, wrapped
from tests.support.world import World, assignment, make_world, receive

EVENTS = InboundEvent.objects


def test_what_is_fetched_is_handled_and_the_place_is_kept(world: World, queue: Queue) -> None:
    queue.gives = [
        Batch([wrapped(1, **assignment(1))], "_1", "https://host.example/receive?lastEventId=_1"),
        Batch([wrapped(2), wrapped(3)], "_3", "https://host.example/receive?lastEventId=_3"),
    ]
    assert fetch(world) == 3
    assert [after for after, _url in queue.asked] == ["", "_1", "_3"]
    assert queue.asked[1][1] == "https://host.example/receive?lastEventId=_1"
    assert (world.connection.poller_state.cursor, world.connection.poller_state.problem) == ("_3", "")
    assert world.connection.poller_state.polled_at is not None
    assert world.connection.poller_state.leased_until is None
    row = EVENTS.order_by("pk")[0]
    assert (row.source, row.vendor_id, row.insurer) == ("poll", "_1", None)
    drain(queues.EVENTS)
    # The alias in the case says whose it is.
    assert Task.objects.count() == 1
    assert fetch(world) == 0
    assert queue.asked[-1][0] == "_3"


def test_the_same_event_sent_and_fetched_is_one_row(world: World, queue: Queue) -> None:
    receive(world, assignment(1))
    queue.gives = [Batch([wrapped(1, **assignment(1)), wrapped(2)], "_2", "")]
    assert fetch(world) == 2
    assert EVENTS.count() == 2
    assert EVENTS.get(event_type="repair_service_requested").source == "push"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("place", ["_refuse", "_mine"])
def test_a_crash_between_events_and_cursor_loses_and_doubles_nothing(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    world = make_world(poll=True)
    batch = Batch([wrapped(1), wrapped(2), "no event"], "_2", "")
    queue.gives = [batch]

    class Killed(BaseException):
        pass

    def dies(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as broken:
        if place == "_refuse":
            broken.setattr(poller, "_refuse", dies)
        else:
            broken.setattr(store, "receive", dies)
        with pytest.raises(Killed):
            fetch(world)
    assert (EVENTS.count(), world.connection.poller_state.cursor) == (0, "")
    free_again()
    queue.gives = [batch]
    fetch(world)
    assert (EVENTS.count(), Refusal.objects.count(), world.connection.poller_state.cursor) == (2, 1, "_2")
    assert queue.in_transaction == [False] * 3


def test_a_bad_event_is_noted_and_does_not_block_its_neighbours(world: World, queue: Queue) -> None:
    bad = ["text", None, {"id": "_2", "attributes": {}}, {}, wrapped(9, eventType="a\x00b"), [wrapped(7), wrapped(8)]]
    queue.gives = [Batch([wrapped(1), *bad, wrapped(3)], "_3", "")]
    assert fetch(world) == 8
    assert list(EVENTS.order_by("pk").values_list("vendor_id", flat=True)) == ["_1", "_3"]
    refusals = list(Refusal.objects.values_list("code", "connection"))
    assert refusals == [("SP-104", world.connection.pk)] * 6
    assert world.connection.poller_state.cursor == "_3"


def test_more_events_than_a_statement_takes_are_split(world: World, queue: Queue, settings: Settings) -> None:
    settings.SCALEPOINT = {"MAX_BATCH_EVENTS": 10}
    queue.gives = [Batch([wrapped(n) for n in range(25)], "_24", "")]
    assert fetch(world) == EVENTS.count() == 25


def test_events_without_a_new_cursor_are_kept_and_no_hot_loop(world: World, queue: Queue, quick: list[float]) -> None:
    PollerState.objects.update(cursor="_1")
    queue.gives = [Batch([wrapped(2)], "_1", "")] * 5 + [Batch([wrapped(3)], "", "")]
    done = iter([False] * 5 + [True] * 9)
    poller.poll(world.connection, 1000, stopped=lambda: next(done))
    assert EVENTS.count() == 2
    assert len(quick) == 5
    assert all(
        low <= each <= high for each, low, high in zip(quick, (0.7, 1.5, 3, 6, 12), (1, 2, 4, 8, 16), strict=True)
    )
    assert PollerState.objects.get().problem == "SP-415"


def test_a_cursor_that_can_not_be_kept_is_none(world: World, queue: Queue) -> None:
    queue.gives = [Batch([wrapped(1)], "_1" * 60, "")]
    fetch(world)
    assert (EVENTS.count(), world.connection.poller_state.cursor, world.connection.poller_state.problem) == (
        1,
        "",
        "SP-415",
    )


def test_an_empty_answer_that_was_not_held_open_is_not_asked_for_again_at_once(
    world: World, queue: Queue, quick: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "_SOONEST", 1.0)
    queue.gives = [Batch([wrapped(1)], "_1", "")]
    done = iter([False] * 3 + [True] * 9)
    poller.poll(world.connection, 60, stopped=lambda: next(done))
    assert quick[0] == 0.0
    assert all(0.9 < each <= 1.0 for each in quick[1:])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RetryableError("away", error=errors.SCALEPOINT_AWAY), "SP-401"),
        (RuntimeError("unforeseen"), "SP-900"),
    ],
)
def test_after_an_error_the_pause_grows_and_a_success_clears_the_problem(
    world: World, queue: Queue, quick: list[float], error: Exception, code: str
) -> None:
    queue.gives = [error] * 8
    done = iter([False] * 8 + [True] * 9)
    poller.poll(world.connection, 1000, stopped=lambda: next(done))
    assert 45 <= quick[6] <= 60
    assert 45 <= quick[7] <= 60
    assert PollerState.objects.get().problem == ""  # the ninth call got an answer
    queue.gives = [error]
    fetch(world)
    assert world.connection.poller_state.problem == code


@pytest.mark.parametrize("code", ["SP-402", "SP-403", "SP-404"])
def test_what_a_person_must_put_right_stops_the_polling(world: World, queue: Queue, code: str) -> None:
    PollerState.objects.update(cursor="_7", next_url="https://host.example/next")
    queue.gives = [PermanentError(errors.find(code))]
    fetch(world)
    assert (world.connection.poller_state.problem, world.connection.poller_state.cursor) == (code, "_7")
    assert not poller.due().exists()
    # A login may work again by itself; a lost place never does.
    free_again()
    assert poller.due().exists() == (code != "SP-404")
    poller.resume(world.connection)
    assert poller.due().exists()
    fetch(world)
    assert queue.asked[-1][0] == ("" if code == "SP-404" else "_7")
    assert world.connection.poller_state.problem == ""
