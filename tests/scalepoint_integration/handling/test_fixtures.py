"""Every event in tests/fixtures, and the rows it must leave.

``<case>.expected.json`` names the rows exactly by number (none where it says nothing), and of each the fields that
matter, amounts as text. ``given`` sets the scene:
fields of the default values, the insurer, the template or the responsible user; customers that exist; events that came
before; whose proof it was ("sender": "syd", or "connection" for the connection's own secret).
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crm.models import Customer
from scalepoint_integration import queues
from scalepoint_integration.events import EVENTS as TYPES
from scalepoint_integration.models import (
    Case,
    CaseAttachment,
    CaseMessage,
    CaseNote,
    Expense,
    ImagePull,
    InboundEvent,
    Obligation,
    Payment,
    PaymentMeans,
    Reserve,
    Service,
    Settlement,
    SettlementParty,
    SettlementPull,
)
from scalepoint_integration.payloads.envelope import find_events, read_envelope
from scalepoint_integration.payloads.strict_json import parse
from scalepoint_integration.receiving import store
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task, TaskCheckItem, TaskContact, TaskNote
from tests.support.world import FIXTURES, World

ROWS = {
    "cases": Case,
    "services": Service,
    "customers": Customer,
    "tasks": Task,
    "check_items": TaskCheckItem,
    "contacts": TaskContact,
    "pulls": ImagePull,
    "reserves": Reserve,
    "settlements": Settlement,
    "parties": SettlementParty,
    "expenses": Expense,
    "obligations": Obligation,
    "payments": Payment,
    "means": PaymentMeans,
    "settlement_pulls": SettlementPull,
    "messages": CaseMessage,
    "attachments": CaseAttachment,
    "case_notes": CaseNote,
    "notes": TaskNote,
}
EVENTS = sorted(path for path in FIXTURES.glob("*/*.json") if not path.name.endswith(".expected.json"))


def test_every_type_has_fixtures_and_every_fixture_a_type() -> None:
    assert {path.parent.name for path in EVENTS} == set(TYPES)


def test_every_fixture_has_its_expected_rows_and_the_reverse() -> None:
    expected = {path.with_name(path.name.replace(".expected", "")) for path in FIXTURES.glob("*/*.expected.json")}
    assert expected == set(EVENTS)


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_fixture(world: World, path: Path) -> None:
    expected = json.loads(path.with_suffix(".expected.json").read_text())
    set_the_scene(world, expected.get("given", {}))
    sender = expected.get("given", {}).get("sender", "nord")
    senders = {"nord": world.nord.pk, "syd": world.syd.pk, "connection": None}
    event = deliver(world, path, senders[sender])
    compare("event", event, expected["event"])
    for name, model in ROWS.items():
        rows = list(model.objects.order_by("pk"))
        wanted = expected.get(name, [])
        assert len(rows) == len(wanted), f"{name}: {rows}"
        for row, facts in zip(rows, wanted, strict=True):
            compare(name, row, facts)


def set_the_scene(world: World, given: dict[str, Any]) -> None:
    rows = {
        "default_values": world.default_values,
        "insurer": world.nord,
        "template": world.default_values.task_template,
        "responsible": world.default_values.responsible,
    }
    for name, row in rows.items():
        for field, value in given.get(name, {}).items():
            setattr(row, field, value)
        row.save()
    for facts in given.get("customers", []):
        insurer = {"nord": world.nord, "syd": world.syd}.get(facts.get("insurer"))
        Customer.objects.create(**{**facts, "insurer": insurer})
    for before in given.get("before", []):
        assert deliver(world, FIXTURES / f"{before}.json", world.nord.pk).status == "done"


def deliver(world: World, path: Path, insurer_id: int | None) -> InboundEvent:
    found = find_events(parse(path.read_bytes()), 1)
    [receipt] = store.receive(world.connection.pk, insurer_id, [read_envelope(*found[0])])
    drain(queues.EVENTS)
    return InboundEvent.objects.get(pk=receipt.id)


def compare(name: str, row: Any, facts: dict[str, Any]) -> None:
    found = {}
    for field in facts:
        value = row
        for part in field.split("."):
            value = value[part] if isinstance(value, dict) else getattr(value, part)
        value = value.isoformat() if hasattr(value, "isoformat") else value
        found[field] = str(value) if isinstance(value, Decimal) else value
    assert found == facts, name


def test_the_table_of_events_names_every_type_once() -> None:
    lines = (FIXTURES.parents[1] / "docs" / "events.md").read_text().splitlines()
    first = [line.split("|")[1].strip() for line in lines if line.startswith("| `")]
    assert sorted(first) == sorted(f"`{name}`" for name in TYPES)
