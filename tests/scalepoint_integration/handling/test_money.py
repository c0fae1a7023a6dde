"""Reserves and settlements: whatever way their events arrive, the case ends the same; nothing odd raises; and what
must not be read in clear is not."""

import itertools
import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from crm.masks import of_account, of_identity
from scalepoint_integration import queues
from scalepoint_integration.handling import run
from scalepoint_integration.models import (
    Case,
    Expense,
    InboundEvent,
    Obligation,
    Payment,
    PaymentMeans,
    Reserve,
    Settlement,
    SettlementParty,
    SettlementPull,
)
from scalepoint_integration.payloads import reserve, revision, settlement, strict_json
from scalepoint_integration.payloads.links import Links
from scalepoint_integration.payloads.reading import as_amount, as_flag
from scalepoint_integration.workqueue.drain import drain
from tests.support.world import FIXTURES, World, assignment, handle, merged

ROWS = (Case, Reserve, Settlement, SettlementParty, Expense, Obligation, Payment, PaymentMeans, SettlementPull)


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def state() -> dict[str, list[str]]:
    """Everything that the events leave, without row numbers and times of our own."""
    own = {"id", "created_at", "updated_at", "available_at", "finished_at", "case", "settlement", "payment"}
    found = {}
    for model in ROWS:
        names = [field.name for field in model._meta.fields if field.name not in own]
        told = [{name: str(getattr(row, name)) for name in names} for row in model._default_manager.all()]
        if model is Payment:
            for row, facts in zip(Payment.objects.all(), told, strict=True):
                facts["in"] = row.settlement.key
        found[model.__name__] = sorted(map(str, told))
    return found


def ends(world: World, events: list[Any]) -> list[dict[str, list[str]]]:
    found = []
    for order in itertools.permutations(events):
        with transaction.atomic():
            for event in order:
                handle(world, event)
                handle(world, event)  # doubled
            assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}
            found.append(state())
            transaction.set_rollback(True)
    return found


def change(name: str, value: Any) -> dict[str, Any]:
    return {"property": name, "newValue": value}


def test_every_order_of_reserve_events_ends_the_same(world: World) -> None:
    first = fixture("reserve_updated/documented")
    middle = fixture("reserve_updated/changed")
    last = merged(
        middle,
        {"timestamp": "2031-06-03T08:00:00Z", "changesInReserves": {"4711": [change("actual", 7), change("x", "y")]}},
    )
    # Of two at the very same time one wins, and always the same.
    twin = merged(last, {"changesInReserves": {"4711": [change("actual", 8)]}})
    found = ends(world, [first, middle, last, twin])
    assert len(found) == 24
    assert all(end == found[0] for end in found)
    handle(world, last, middle, first)
    row = Reserve.objects.get(reserve_id="4711")
    assert (row.planned, row.actual, row.outgoing, row.title) == (Decimal("1250.5"), 7, Decimal("1249.5"), "")
    assert (row.extra, row.type_code) == ({"x": "y"}, "RE-100")


def test_every_order_of_settlements_ends_the_same(world: World) -> None:
    one, newer, older = (fixture(f"case_settled/{name}") for name in ("documented", "newer", "older"))
    found = ends(world, [one, newer])
    assert len(found) == 2 and found[0] == found[1]
    # A payment that a newer statement of its settlement left out, and that another settlement speaks of.
    other = merged(
        one, {"timestamp": "2031-06-13T09:00:00Z", "settlement": {"revisionToken": "another"}, "parties": []}
    )
    nameless = merged(one, {"settlement": {"revisionToken": None}, "payments": [{"total": 5}]})
    found = ends(world, [one, newer, older, other])
    assert len(found) == 24
    assert all(end == found[0] for end in found)
    assert [len(rows) for rows in found[0].values()] == [1, 0, 2, 2, 3, 2, 2, 3, 2]
    found = ends(world, [one, nameless])
    assert found[0] == found[1]


def test_a_statement_that_is_run_again_changes_nothing_and_our_status_stays(world: World) -> None:
    [event] = handle(world, merged(fixture("case_settled/odd"), {"settlement": {"revisionToken": "R"}}))
    Payment.objects.update(status="processed")
    before = state()
    run.replay(event)
    drain(queues.EVENTS)
    # What has no uuid is made anew with its statement; nobody can have told Scalepoint about it.
    assert [row.replace("'status': 'processed'", "'status': ''") for row in before["Payment"]] == [
        row.replace("'status': 'processed'", "'status': ''") for row in state()["Payment"]
    ]
    assert Payment.objects.get(uuid="p").status == "processed"
    assert {**before, "Payment": []} == {**state(), "Payment": []}
    assert set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}


def test_the_money_comes_to_the_case_of_the_assignment(world: World) -> None:
    handle(world, assignment())
    case = Case.objects.get()
    names = {"uuid": case.case_id.upper(), "token": case.token, "number": case.number}
    rows = handle(
        world,
        merged(fixture("case_settled/documented"), {"case": names}),
        {**fixture("reserve_updated/changed"), "case": {"number": case.number}},
    )
    assert [row.case_id for row in rows] == [case.pk, case.pk]
    after = Case.objects.get()
    assert (after.status, after.customer_id, after.facts) == (case.status, case.customer_id, case.facts)


def test_the_case_is_made_from_the_money_and_worked_out_by_the_assignment(world: World) -> None:
    money = {**fixture("reserve_updated/changed"), "case": {"number": assignment()["case"]["number"]}}
    handle(world, money, assignment())
    case = Case.objects.get()
    assert (case.status, case.reserves.count(), case.services.count()) == ("in_progress", 2, 1)


# ---- What must not be read in clear -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("010170-0000", "••••••-••••"),
        ("0101700000", "••••••-••••"),
        ("010170 0000", "••••••-••••"),
        ("101700000", "••••••-••••"),  # a number, and its first zero lost
        ("00000000", "00000000"),
        ("dk 00 00 00 00", "DK00000000"),
        ("0101700000-", "••••••-••••"),
        ("P0101700000", "••••"),
        ("passport", "••••"),
        ("٠١٢٣٤٥٦٧", "••••"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_party(number: str, shown: str) -> None:
    assert of_identity(number) == shown


def test_what_is_shown_of_an_account() -> None:
    assert (of_account("0000567890"), of_account("1234567"), of_account("")) == ("••••7890", "••••", "")


def test_numbers_are_encrypted_at_rest_and_in_no_repr(world: World) -> None:
    event = fixture("case_settled/documented")
    handle(world, event)
    cpr, account = event["parties"][0]["id"], "0000567890"
    with connection.cursor() as cursor:
        for model in ROWS:
            cursor.execute(f"SELECT row_to_json(t)::text FROM {model._meta.db_table} t")
            stored = str(cursor.fetchall())
            assert cpr not in stored and account not in stored, model
    party = SettlementParty.objects.get(key="/parties/0")
    assert "identity" in party.get_deferred_fields()
    assert party.identity == cpr
    facts = settlement.parse(strict_json.parse(json.dumps(event).encode()))
    for told in (facts, *facts.parties, *facts.payments, party, *PaymentMeans.objects.all()):
        assert cpr not in repr(told) and account not in repr(told)


# ---- Reading ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (Decimal("0.1"), "0.1000"),
        (0, "0.0000"),
        ("-12.5", "-12.5000"),
        (" 7 ", "7.0000"),
        ("1e2", "100.0000"),
        (Decimal("1.00005"), "1.0000"),
        (10**14 - 1, "99999999999999.0000"),
    ],
)
def test_amounts_are_exact(value: Any, amount: str) -> None:
    assert str(as_amount(value)) == amount


@pytest.mark.parametrize(
    "value", [None, True, "", "1,5", "1.234,50", "NaN", "Infinity", "1_000", "१२", "1e99", 10**14, {}, [1], "1e-9999"]
)
def test_no_amount_is_guessed(value: Any) -> None:
    assert as_amount(value) is None


def test_truth_values() -> None:
    found = [as_flag(value) for value in (True, "TRUE", 1, "false", 0, False, "maybe", None, 2)]
    assert found == [True, True, True, False, False, False, None, None, None]


def test_links() -> None:
    links = Links({"parties": [{"$id": "a", "$ref": "b"}, {"$id": "b", "name": "B"}, {"$ref": "c"}], "expenses": None})
    assert links.key("parties", {"$ref": "a"}) == "b"
    assert links.key("parties", {"$ref": "#/Parties/1"}) == "b"
    assert links.key("parties", {"$ref": "/parties/2"}) == ""
    assert links.key("expenses", {"$ref": "a"}) == ""
    assert links.key("parties", {"$id": "n", "name": "written out"}) == "n"
    assert links.key("parties", {"$id": "n", "name": "again"}) == "n"
    assert [key for key, _node in links.rows("parties")] == ["b", "n"]


_NAMES = st.sampled_from(
    [
        *("settlement", "approvedBy", "summary", "revisionToken", "parties", "expenses", "obligations", "payments"),
        *("$id", "$ref", "id", "roles", "address", "contact", "uuid", "total", "payerParty", "payeeParty"),
        *("claimantParty", "policyCoverage", "expense", "creditNote", "paymentMeans", "additionalPaymentMeans"),
        *("payeeFinancialAccount", "fiBranch", "settlementDetails", "items", "groups", "product", "voucher", "group"),
        *("changesInReserves", "property", "newValue", "oldValue", "planned"),
    ]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
_TEXTS = st.sampled_from(["a", "b", "/parties/0", "/expenses/0", "planned", "isdefault", "", "010170-0000"])
_ODD = st.recursive(
    _LEAVES | _TEXTS, lambda deeper: st.lists(deeper, max_size=4) | st.dictionaries(_NAMES, deeper, max_size=6)
)


@given(_ODD)
def test_nothing_odd_raises(document: Any) -> None:
    settlement.parse(document)
    revision.parse(document)
    reserve.parse(document)


@given(st.lists(st.dictionaries(st.sampled_from(["$id", "$ref"]), st.sampled_from("abc")), max_size=5), _ODD)
def test_every_link_leads_to_a_row_or_nowhere(parties: list[Any], odd: Any) -> None:
    bills = [{"payerParty": {"$ref": name}, "payeeParty": odd} for name in ("a", "b", "/parties/1")]
    found = settlement.parse({"parties": parties, "expenses": bills})
    keys = [party.key for party in found.parties]
    assert len(keys) == len(set(keys))
    for bill in found.expenses:
        assert {bill.payer, bill.payee} <= {"", *keys}
