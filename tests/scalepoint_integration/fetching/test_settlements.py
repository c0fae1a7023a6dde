"""Settlements item by item: asked for, fetched over the network outside any transaction, stored once, shown."""

import json
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from pytest_httpserver import HTTPServer

from scalepoint_integration import client, errors, queues, workqueue
from scalepoint_integration.fetching import settlements
from scalepoint_integration.fetching.settlements import fetch_again
from scalepoint_integration.models import Case, Connection, Revision, SettlementPull
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.revision import Revision as Facts
from scalepoint_integration.payloads.revision import parse
from scalepoint_integration.upkeep.sweep import sweep
from scalepoint_integration.workqueue import PermanentError, RetryableError
from scalepoint_integration.workqueue.drain import drain
from tests.support.world import World, handle, merged

TOKEN = "5e0a22c2-0000-4000-8000-000000000001"
CASE = "5e0a11c2-0000-4000-8000-000000000001"
PHONE: dict[str, Any] = {
    "category": "Telefoni",
    "subCategory": "Mobiltelefoner",
    "subCategoryToken": "5E0A55C2-0000-4000-8000-000000000001",
    "description": "Opdigtet telefon",
    "itemId": "5E0A66C2-0000-4000-8000-000000000001",
    "depreciationPercentage": 50.00,
    "depreciationAmount": 600.25,
    "quantity": 1,
    "replacementAmount": 600.25,
    "ageMonths": 30,
    "basePrice": 1200.50,
    "product": {
        "brand": "Opdigt",
        "catalogCategory": "Mobiltelefoner",
        "productCode": "0000001",
        "retailPrice": 1200.50,
        "scalepointPrice": 1199.00,
    },
    "status": "SETTLED",
}
LAMP: dict[str, Any] = {
    "description": "Opdigtet lampe",
    "status": "REPAIRED",
    "group": {"internalId": "G-1"},
    "voucher": {"voucherCode": "V-1", "faceValue": 300, "voucherBasePrice": 270.75},
}
ANSWER: dict[str, Any] = {
    "case": {"token": CASE.upper(), "number": "20310601-01", "policyNumber": "900464-20310601"},
    "settlementDetails": {
        "policyDeductible": 0.00,
        "appliedDeductible": 0.00,
        "depreciation": 600.25,
        "revisionToken": TOKEN.upper(),
        "status": "SETTLED",
        "approvedBy": "tea",
        "timestamp": "2031-06-15T09:00:00.120+0200",
        "settlementType": "SETTLED_FOR_REPLACEMENT",
        "repairAmount": 0.00,
        "subTotalAmount": 600.25,
        "cashCompensation": 600.25,
        "overallManualReduction": 0.00,
        "appliedManualReduction": 0.00,
        "items": [PHONE, LAMP],
        "groups": [{"internalId": "G-1", "name": "Alt", "type": "VOUCHER", "amount": 300}],
    },
}
SETTLED = {
    "eventType": "case_settled",
    "timestamp": "2031-06-15T07:00:00Z",
    "case": {"uuid": CASE, "token": f"ic.{CASE}", "number": "20310601-01"},
    "settlement": {"revisionToken": TOKEN.upper()},
}


def read(document: Any) -> Facts:
    facts = parse(strict_json.parse(json.dumps(document).encode()))
    assert facts is not None
    return facts


@pytest.fixture
def scalepoint(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A Scalepoint on this machine, and instead of the real client one that asks it."""

    def ask(connection: Connection, revision_token: str) -> bytes:
        assert not database.in_atomic_block  # an answer can take long
        assert connection.contract_number
        try:
            with urllib.request.urlopen(httpserver.url_for(f"/revision/{revision_token}")) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            if error.code == 403:
                raise PermanentError(errors.NO_ACCESS) from error
            raise RetryableError(str(error.code), seconds=60, error=errors.SCALEPOINT_AWAY) from error

    monkeypatch.setattr(client, "settlement", ask)
    return httpserver


def serve(scalepoint: HTTPServer, content: Any, status: int = 200) -> None:
    scalepoint.clear()
    text = content if isinstance(content, str) else json.dumps(content)
    scalepoint.expect_request(f"/revision/{TOKEN}").respond_with_data(text, status)


# ---- Reading ------------------------------------------------------------------------------------------------------
def test_the_documented_answer() -> None:
    facts = read(ANSWER)
    assert (facts.case_token, facts.revision_token, facts.policy_number) == (CASE, TOKEN, "900464-20310601")
    assert facts.settled_at is not None and facts.settled_at.isoformat() == "2031-06-15T07:00:00.120000+00:00"
    assert (facts.depreciation, facts.replacement_amount) == (Decimal("600.25"), None)
    phone, lamp = facts.items
    assert (phone.age_months, phone.base_price, phone.product_scalepoint_price) == (30, Decimal("1200.5"), 1199)
    assert (phone.group_id, phone.voucher_face_value, lamp.group_id) == ("", None, "G-1")
    assert (lamp.voucher_code, lamp.voucher_base_price) == ("V-1", Decimal("270.75"))


@pytest.mark.parametrize("groups", [None, [], {}, [None], [{}]])
def test_no_groups(groups: Any) -> None:
    assert read({"settlementDetails": {"status": "locked", "groups": groups}}).groups == ()


@pytest.mark.parametrize("document", [None, [], {}, {"settlementDetails": {}}, {"settlementDetails": "SETTLED"}, 1])
def test_no_revision(document: Any) -> None:
    assert parse(document) is None


# ---- The queue ----------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_settled_case_is_fetched_item_by_item(
    world: World, scalepoint: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[queues.Job] = []
    monkeypatch.setattr(settlements, "ring", rung.append)
    handle(world, SETTLED, {**SETTLED, "correlationId": "again"})
    assert rung == [queues.SETTLEMENTS] * 2
    serve(scalepoint, ANSWER)
    assert (drain(queues.SETTLEMENTS), drain(queues.SETTLEMENTS)) == (1, 0)
    pull, row = SettlementPull.objects.get(), Revision.objects.get()
    assert (pull.status, pull.attempts, row.case, row.connection) == ("done", 1, Case.objects.get(), world.connection)
    assert (row.status, row.get_settlement_type_display()) == ("SETTLED", "Settled with replacement goods")
    assert (row.sub_total_amount, row.invoice_amount) == (Decimal("600.25"), None)
    assert [item.description for item in row.items.order_by("pk")] == ["Opdigtet telefon", "Opdigtet lampe"]
    assert [group.get_kind_display() for group in row.groups.all()] == ["Voucher"]
    # Fetched again: the last answer counts, and nothing is there twice.
    serve(scalepoint, merged(ANSWER, {"settlementDetails": {"status": "NEW_WORD", "items": [LAMP], "groups": None}}))
    assert fetch_again(Case.objects.all()) == 1
    assert drain(queues.SETTLEMENTS) == 1
    row = Revision.objects.get()
    assert (row.get_status_display(), row.items.count(), row.groups.count()) == ("NEW_WORD", 1, 0)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("status", ["SETTLED", "IN_PROGRESS", "LOCKED", "CANCELLED", "CLOSED_EXTERNAL"]),
        (
            "settlement_type",
            [
                *("SETTLED_EXTERNALLY", "SETTLED_WITH_EMAIL", "SETTLED_WITHOUT_EMAIL", "SETTLED_FOR_REPLACEMENT"),
                *("CANCELLED", "UNKNOWN"),
            ],
        ),
        ("items.status", ["DRAFT", "SETTLED", "REPAIRED", "REJECTED"]),
        ("groups.kind", ["OVERVIEW", "VALUATION", "VOUCHER"]),
    ],
)
def test_every_documented_word_is_known(field: str, values: list[str]) -> None:
    model: Any = Revision
    if "." in field:
        rows, field = field.split(".")
        model = model._meta.get_field(rows).related_model
    assert list(dict(model._meta.get_field(field).choices)) == values


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("content", "status", "state", "code"),
    [
        ("", 503, "pending", "SP-401"),
        ("", 403, "failed", "SP-403"),
        ("<html>", 200, "failed", "SP-104"),
        ("{}", 200, "failed", "SP-104"),
        (merged(ANSWER, {"settlementDetails": {"revisionToken": "other"}}), 200, "failed", "SP-416"),
        (merged(ANSWER, {"case": {"token": "other"}}), 200, "failed", "SP-416"),
        (merged(ANSWER, {"case": {"token": None, "number": "other"}}), 200, "failed", "SP-416"),
        (merged(ANSWER, {"case": None}), 200, "failed", "SP-416"),
        (merged(ANSWER, {"case": {"token": None}}), 200, "done", ""),
        (merged(ANSWER, {"case": {"number": "renamed"}}), 200, "done", ""),
    ],
)
def test_what_becomes_of_other_answers(
    world: World, scalepoint: HTTPServer, content: Any, status: int, state: str, code: str
) -> None:
    handle(world, SETTLED)
    serve(scalepoint, content, status)
    drain(queues.SETTLEMENTS)
    pull = SettlementPull.objects.get()
    assert (pull.status, pull.error_code) == (state, code)
    assert Revision.objects.count() == (state == "done")


def test_a_worker_that_lost_its_lease_stores_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    handle(world, SETTLED)

    def late(*_asked: Any) -> bytes:
        SettlementPull.objects.update(claims=7)
        return json.dumps(ANSWER).encode()

    monkeypatch.setattr(client, "settlement", late)
    [item] = workqueue.claim(SettlementPull.objects.all(), 1)
    settlements.pull([item])
    assert SettlementPull.objects.get().status == "pending"
    assert Revision.objects.count() == 0


def test_nothing_is_fetched_while_the_connection_is_on_hold(world: World) -> None:
    handle(world, SETTLED)
    Connection.objects.update(switch="paused")
    assert drain(queues.SETTLEMENTS) == 0


def test_the_sweep_rings_for_what_waits_and_gives_up_the_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handle(world, SETTLED)
    rung: list[queues.Job] = []
    sweep(rung.append)
    assert queues.SETTLEMENTS in rung
    SettlementPull.objects.update(attempts=12)
    rung.clear()
    sweep(rung.append)
    assert SettlementPull.objects.get().status == "failed"
    assert queues.SETTLEMENTS not in rung
    assert set(rung) <= set(queues.QUEUES)
