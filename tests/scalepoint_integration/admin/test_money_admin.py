"""The money on the page of a case: readable for those who may see it, masked where it must be, changed by nobody."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from scalepoint_integration import client, queues
from scalepoint_integration.models import Case, Revision, SettlementPull
from scalepoint_integration.workqueue.drain import drain
from tests.scalepoint_integration.admin.test_admin import client_of, url
from tests.scalepoint_integration.fetching.test_settlements import ANSWER
from tests.scalepoint_integration.handling.test_money import fixture
from tests.support.world import World, handle, merged


@pytest.fixture
def settled(world: World, monkeypatch: pytest.MonkeyPatch) -> Case:
    handle(world, fixture("case_settled/documented"), fixture("reserve_updated/documented"))
    monkeypatch.setattr(client, "settlement", lambda *_asked: json.dumps(ANSWER).encode())
    drain(queues.SETTLEMENTS)
    return Case.objects.get()


def page(reader: Client, case: Case) -> str:
    return reader.get(url("case", "change", case.pk)).content.decode()


def test_the_page_shows_the_money_and_no_number_in_clear(settled: Case) -> None:
    shown = page(client_of(superuser=True), settled)
    for word in (
        *("Første hensættelse", "Inga Eksempelsen", "••••••-••••", "F-2031-17", "••••7890", "Opdigtet telefon"),
        *("Nord Forsikring (eksempel) → Opdigtet Tag ApS", "Opdigtet lampe", "V-1", "12"),
    ):
        assert word in shown, word
    for secret in ("010170", "0000567890", "00004321", "000000000001234"):
        assert secret not in shown, secret


def test_money_needs_its_own_permission(settled: Case) -> None:
    shown = page(client_of("view_case"), settled)
    assert "20310601-01" in shown
    for word in ("Første hensættelse", "Inga Eksempelsen", "••••", "Opdigtet telefon", "reserves-TOTAL_FORMS"):
        assert word not in shown, word


def test_who_may_see_money_may_not_change_it(settled: Case) -> None:
    reader = client_of("view_case", "view_settlement", "change_settlement", "delete_settlement", "change_reserve")
    shown = page(reader, settled)
    assert "Første hensættelse" in shown
    assert "Inga Eksempelsen" in shown
    assert 'name="settlements-0-said_at' not in shown and 'name="reserves-0-planned"' not in shown


def test_a_settlement_is_fetched_again(settled: Case) -> None:
    Revision.objects.all().delete()
    office = client_of(superuser=True)
    form = {"action": "fetch_settlement_again", "_selected_action": [settled.pk]}
    answer = office.post(url("case", "changelist"), form, follow=True)
    assert "1 settlement is being fetched again." in answer.content.decode()
    assert drain(queues.SETTLEMENTS) == 1
    assert Revision.objects.count() == 1
    SettlementPull.objects.all().delete()
    office.post(url("case", "changelist"), form)
    assert drain(queues.SETTLEMENTS) == 1


def test_a_failed_fetch_is_told_in_words(settled: Case) -> None:
    SettlementPull.objects.update(status="failed", error_code="SP-403")
    assert "You don't have access to this information in Scalepoint" in page(client_of(superuser=True), settled)


def test_more_settlements_take_no_more_queries(world: World, settled: Case) -> None:
    office = client_of(superuser=True)
    page(office, settled)
    with CaptureQueriesContext(
        connection,
    ) as one:
        page(office, settled)
    for number in range(3):
        handle(world, merged(fixture("case_settled/documented"), {"settlement": {"revisionToken": f"R{number}"}}))
    with CaptureQueriesContext(connection) as four:
        page(office, settled)
    assert len(four) == len(one) <= 40


def test_a_payment_that_was_left_out_names_no_party_of_the_newer_statement(world: World, settled: Case) -> None:
    newer = fixture("case_settled/newer")
    newer["parties"][0]["$id"], newer["parties"][1]["$id"] = "/parties/1", "/parties/2"
    newer["payments"] = []
    handle(world, newer)
    shown = page(client_of(superuser=True), settled)
    assert shown.count("not in the latest statement") == 2
    assert "Inga Eksempelsen → Nord Forsikring (eksempel)" not in shown
