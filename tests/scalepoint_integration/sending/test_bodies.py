"""What is said, kind by kind. The facts that Scalepoint documents stand here as literals."""

import base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from scalepoint_integration.models import OutboundEvent
from scalepoint_integration.sending import outbox
from scalepoint_integration.sending.bodies import body, check_expense, event_type, plain, shown
from scalepoint_integration.workqueue import NeedsPerson, NotForUs, PermanentError
from tests.scalepoint_integration.sending.conftest import make_case, sender
from tests.support.world import World

NOW = datetime(2031, 5, 6, 10, 0, tzinfo=UTC)
EXPENSE: dict[str, Any] = {"number": "F-1", "date": NOW, "items": [{"title": "Fliser", "amount": Decimal("1234.50")}]}


def stored(item: OutboundEvent | None) -> OutboundEvent:
    assert item
    return OutboundEvent.objects.get(pk=item.pk)


def said(item: OutboundEvent | None, token: str = "•••") -> dict[str, Any]:
    return body(stored(item), NOW, token)


def test_our_case_number(world: World) -> None:
    case = make_case(world)
    item = stored(outbox.send_case_number(case))
    found = body(item, NOW)
    assert event_type(item) == found["eventType"] == "case_created"
    assert found["payloadVersion"] == "1.0.0"
    assert found["case"] == {"token": "ic.token-1", "number": f"2332-{case.pk}"}
    assert set(found) == {"eventType", "payloadVersion", "correlationId", "timestamp", "case"}
    # The same row says the same, whenever it is sent.
    assert body(item, NOW + timedelta(days=1)) == found


def test_a_case_with_a_number_is_given_none(world: World) -> None:
    assert outbox.answer_case_created(make_case(world, 1, token="")) is None
    case = make_case(world, 2)
    item = outbox.answer_case_created(case)
    case.number = "theirs"
    case.save()
    assert outbox.answer_case_created(case) is None
    with pytest.raises(NotForUs, match="SP-411"):
        said(item)


def test_a_message_and_that_no_number_could_be_made(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"EVENT_NAME_MESSAGE": "message_made", "EVENT_NAME_CASE_NUMBER_FAILED": "number_failed"}
    case = make_case(world, number="20310506-07")
    found = said(outbox.send_message(case, "Besigtigelse", "Vi kommer på tirsdag.", None))
    assert found["eventType"] == "message_made"
    assert found["message"] == {"subject": "Besigtigelse", "text": "Vi kommer på tirsdag."}
    assert found["case"] == {"token": "ic.token-1", "number": "20310506-07"}
    found = said(outbox.send_case_number_failed(case, "Ukendt police."))
    assert (found["eventType"], found["message"]) == ("number_failed", {"text": "Ukendt police."})


@pytest.mark.parametrize("status", ["processed", "cancelled"])
def test_the_status_of_a_payment(world: World, status: str) -> None:
    found = said(outbox.send_payment_status(make_case(world), "aaaa-1", status))
    assert (found["eventType"], found["payment"]) == ("payment_status_updated", {"uuid": "aaaa-1", "status": status})


def test_a_file(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"FILE_FIELD_CONTENT": "data"}
    item = stored(outbox.send_file(make_case(world), "tag.pdf", b"%PDF", "application/pdf", sender()))
    found = body(item, NOW, "the-token")
    assert found == {
        "securityToken": "the-token",
        "timestamp": "2031-05-06",
        "payload": {
            "id": "case-id-1",
            "insuranceCompanyAlias": "nordins",
            "userEmail": "mette@firma.example",
            "fileName": "tag.pdf",
            "fileType": "application/pdf",
            "data": base64.b64encode(b"%PDF").decode(),
        },
    }
    read = shown(item, found)
    assert (read["securityToken"], read["payload"]["data"]) == ("•••", "… (4)")
    assert found["securityToken"] == "the-token"


def test_an_expense(world: World) -> None:
    found = said(outbox.send_expense(make_case(world), EXPENSE))
    assert found == {
        "meta": {"timestamp": "2031-05-06T10:00:00.000Z"},
        "data": {
            "claim": {"id": "case-id-1", "tenant": "nordins"},
            "expense": {
                "number": "F-1",
                "date": "2031-05-06T10:00:00.000Z",
                "items": [{"title": "Fliser", "amount": 1234.5}],
            },
        },
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"number": ""}, "number"),
        ({"date": None}, "date"),
        ({"items": []}, "items"),
        ({"items": "x"}, "items"),
        ({"items": [{"title": "x"}, 1]}, "items"),
        ({"items": [{"title": "x"}, {}]}, "items.title"),
    ],
)
def test_an_expense_that_says_too_little(world: World, change: dict[str, Any], field: str) -> None:
    with pytest.raises(NeedsPerson, match="SP-413") as caught:
        outbox.send_expense(make_case(world), EXPENSE | change)
    assert caught.value.facts == {"field": field}
    assert not OutboundEvent.objects.exists()


def test_amounts_become_numbers_that_say_exactly_the_same() -> None:
    assert plain({"a": [Decimal("1.10"), Decimal("3"), Decimal("0.00")]}) == {"a": [1.1, 3, 0]}
    assert repr(plain(Decimal("99999999999.99"))) == "99999999999.99"
    with pytest.raises(ValueError, match="digits"):
        plain(Decimal("12345678901234567890.12"))
    check_expense(EXPENSE)


@pytest.mark.parametrize(
    ("send", "field"),
    [
        (lambda case: outbox.send_message(case, "x", "y"), "case.token"),
        (lambda case: outbox.send_message(case, "x", ""), "text"),
        (lambda case: outbox.send_expense(case, EXPENSE), "tenant"),
        (lambda case: outbox.send_file(case, "x", b"x", "", None), "userEmail"),
        (lambda case: outbox.send_file(case, "x", b"x", "", sender()), "case.case_id"),
    ],
)
def test_without_the_names_of_the_case_the_office_is_asked(world: World, send: Any, field: str) -> None:
    item = send(make_case(world, token="", case_id="", insurer=None, number="7"))
    with pytest.raises(NeedsPerson, match="SP-413") as caught:
        said(item)
    assert caught.value.facts == {"field": field}


def test_a_file_that_is_too_large_is_not_taken(world: World, settings: Settings) -> None:
    settings.SCALEPOINT = {"FILE_MAX_BYTES": 3}
    with pytest.raises(PermanentError, match="SP-414"):
        outbox.send_file(make_case(world), "x", b"1234", "", sender())


def test_a_status_that_is_none(world: World) -> None:
    with pytest.raises(ValueError, match="paid"):
        outbox.send_payment_status(make_case(world), "x", "paid")


def test_what_the_retention_rule_took_is_not_sent(world: World) -> None:
    item = stored(outbox.send_message(make_case(world), "x", "y"))
    item.facts = {}
    with pytest.raises(PermanentError, match="retention"):
        body(item, timezone.now())
