"""What is written is sent: once, only where it is switched on, and never what was rolled back."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from crm.models import SecurityToken
from scalepoint_integration import errors, queues
from scalepoint_integration.adapter import Adapter
from scalepoint_integration.models import Case, OutboundEvent
from scalepoint_integration.sending import outbox
from scalepoint_integration.upkeep.prune import prune
from scalepoint_integration.workqueue import PermanentError
from scalepoint_integration.workqueue.drain import drain, due
from tests.scalepoint_integration.sending.conftest import Scalepoint, make_case, sender, sending_world, texts, write
from tests.support.world import NORD_TOKEN, World, make_world

ROWS = OutboundEvent.objects


@pytest.mark.django_db(transaction=True)
def test_a_cause_that_is_rolled_back_sends_nothing(scalepoint: Scalepoint) -> None:
    case = make_case(sending_world())

    def fails() -> None:
        with transaction.atomic():
            write(case, "a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert ROWS.count() == drain(queues.OUTBOUND) == 0
    assert scalepoint.sent == []


def test_what_was_written_is_sent_once_and_its_answer_is_kept(world: World, scalepoint: Scalepoint) -> None:
    item = write(make_case(world), "a")
    assert drain(queues.OUTBOUND) == 1
    assert drain(queues.OUTBOUND) == 0
    item.refresh_from_db()
    assert (item.status, item.answer, item.attempts) == ("done", "202 taken", 1)
    assert item.facts["sent"] == scalepoint.sent[0][1]


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_scalepoint_is_called(scalepoint: Scalepoint) -> None:
    write(make_case(sending_world()), "a")
    drain(queues.OUTBOUND)
    assert scalepoint.in_transaction == [False]


def test_nothing_is_written_where_it_is_switched_off(db: None, scalepoint: Scalepoint) -> None:
    case = make_case(make_world())
    sent = [
        outbox.send_case_number(case),
        outbox.send_case_number_failed(case, "x"),
        outbox.send_message(case, "x", "y"),
        outbox.send_payment_status(case, "u", "processed"),
        outbox.send_file(case, "x", b"x", "", None),
        outbox.send_expense(case, {"number": "1", "date": "2031-01-01", "items": [{"title": "x"}]}),
    ]
    assert sent == [None] * 6
    assert ROWS.count() == drain(queues.OUTBOUND) == 0


@pytest.mark.parametrize("change", [{"send_messages": False}, {"switch": "paused"}, {"switch": "off"}])
def test_switching_off_holds_back_what_waits(world: World, scalepoint: Scalepoint, change: dict[str, Any]) -> None:
    write(make_case(world), "a")
    before = {name: getattr(world.connection, name) for name in change}
    type(world.connection).objects.update(**change)
    assert (drain(queues.OUTBOUND), due(queues.OUTBOUND), scalepoint.sent) == (0, False, [])
    type(world.connection).objects.update(**before)
    assert due(queues.OUTBOUND)
    assert drain(queues.OUTBOUND) == 1


def test_the_same_wish_is_one_sending(world: World, scalepoint: Scalepoint) -> None:
    case = make_case(world)
    rows = {write(case, "a").pk, write(case, "a").pk}
    rows |= {item.pk for _n in range(2) if (item := outbox.send_file(case, "x", b"x", "", sender()))}
    rows |= {item.pk for _n in range(2) if (item := outbox.send_payment_status(case, "u", "processed"))}
    assert len(rows) == ROWS.count() == drain(queues.OUTBOUND) == 3
    write(case, "a")
    assert drain(queues.OUTBOUND) == 0
    # Without a key of the form each is a message of its own.
    outbox.send_message(case, "", "a")
    outbox.send_message(case, "", "a")
    assert drain(queues.OUTBOUND) == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_wish_at_once_is_one_sending(scalepoint: Scalepoint) -> None:
    case = make_case(sending_world())
    start, seen = threading.Barrier(6), []

    def wish() -> None:
        start.wait()
        seen.append(write(case, "a").pk)
        connection.close()

    threads = [threading.Thread(target=wish) for _each in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 6
    assert len(set(seen)) == ROWS.count() == drain(queues.OUTBOUND) == 1


def test_a_failed_wish_that_is_made_again_takes_the_new_facts(world: World, scalepoint: Scalepoint) -> None:
    case = make_case(world)
    expense: dict[str, Any] = {"number": "F-1", "date": "2031-05-06", "items": [{"title": "Fliser"}]}
    scalepoint.errors = [PermanentError(errors.NOT_ACCEPTED, "400 no due date")]
    item = outbox.send_expense(case, expense)
    drain(queues.OUTBOUND)
    again = outbox.send_expense(case, {**expense, "dueDate": "2031-06-06"})
    assert item and again and item.pk == again.pk
    assert drain(queues.OUTBOUND) == 1
    again.refresh_from_db()
    assert again.status == "done"
    assert scalepoint.sent[1][1]["data"]["expense"]["dueDate"] == "2031-06-06"


def test_the_token_of_a_file_is_the_newest_live_one_and_stored_nowhere(world: World, scalepoint: Scalepoint) -> None:
    now = timezone.now()
    SecurityToken.objects.create(company=world.nord, token="the-newest", valid_from=now - timedelta(seconds=1))
    SecurityToken.objects.create(company=world.nord, token="not-yet-valid", valid_from=now + timedelta(days=1))
    SecurityToken.objects.filter(last4=NORD_TOKEN[-4:]).update(valid_from=now - timedelta(days=9))
    item = outbox.send_file(make_case(world), "tag.pdf", b"%PDF", "application/pdf", sender())
    assert item
    drain(queues.OUTBOUND)
    assert scalepoint.sent[0][1]["securityToken"] == "the-newest"
    row = ROWS.values().get()
    assert "the-newest" not in str(row)
    assert (row["status"], row["content"]) == ("done", None)
    assert row["facts"]["sent"]["payload"]["content"] == "… (4)"


def test_without_a_token_a_person_is_asked(world: World, scalepoint: Scalepoint) -> None:
    SecurityToken.objects.update(expires_at=timezone.now())
    item = outbox.send_file(make_case(world), "tag.pdf", b"%PDF", "application/pdf", sender())
    assert item
    drain(queues.OUTBOUND)
    item.refresh_from_db()
    assert (item.status, item.error_code) == ("failed", "SP-412")
    assert item.error_facts == {"company": str(world.nord)}
    assert scalepoint.sent == []


class OwnNumbers(Adapter):
    def case_number(self, case: Case) -> str:
        return {"ic.token-1": "OUR-7"}.get(case.token, "")


def test_the_host_gives_its_own_numbers_or_none(world: World, settings: Settings, scalepoint: Scalepoint) -> None:
    settings.SCALEPOINT = {"ADAPTER": f"{__name__}.OwnNumbers"}
    assert outbox.answer_case_created(make_case(world, 2)) is None
    item = outbox.answer_case_created(make_case(world, 1))
    assert item and item.facts == {"number": "OUR-7"}
    drain(queues.OUTBOUND)
    assert scalepoint.sent[0][1]["case"]["number"] == "OUR-7"


def test_a_number_that_came_meanwhile_is_not_overwritten(world: World, scalepoint: Scalepoint) -> None:
    case = make_case(world)
    item = outbox.answer_case_created(case)
    assert item
    Case.objects.filter(pk=case.pk).update(number="theirs")
    drain(queues.OUTBOUND)
    item.refresh_from_db()
    assert (item.status, item.error_code, scalepoint.sent) == ("ignored", "SP-411", [])


def test_without_celery_one_command_sends_too(world: World, scalepoint: Scalepoint) -> None:
    write(make_case(world), "a")
    call_command("scalepoint_work", "--once")
    assert texts(scalepoint) == ["a"]


def test_prune_takes_the_content_and_leaves_the_fact_that_it_was_sent(world: World, scalepoint: Scalepoint) -> None:
    case = make_case(world)
    write(case, "a")
    drain(queues.OUTBOUND)
    write(case, "b")
    ROWS.update(created_at=timezone.now() - timedelta(days=91))
    prune()
    done, waiting = ROWS.order_by("pk")
    assert (done.facts, done.answer, done.status) == ({}, "", "done")
    assert waiting.facts["text"] == "b"
