"""An invented craftsman's site for the tests: one contract, two insurance companies, and what Scalepoint may send."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model

from crm.models import CustomerType, InsuranceCompany, SecurityToken, Team
from scalepoint_integration import queues
from scalepoint_integration.models import Connection, DefaultValues, InboundEvent
from scalepoint_integration.payloads.envelope import find_events, read_envelope
from scalepoint_integration.receiving import store
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Dimension, TaskTemplate, TaskTemplateItem

FIXTURES = Path(__file__).parents[1] / "fixtures"
CONTRACT = "2332"
NORD_TOKEN = "invented-token-of-nord-0001"
SYD_TOKEN = "invented-token-of-syd-0002"
SECRET = "invented-secret-of-the-connection"


@dataclass
class World:
    connection: Connection
    nord: InsuranceCompany
    syd: InsuranceCompany

    @property
    def default_values(self) -> DefaultValues:
        return self.connection.default_values


def make_world(**fields: Any) -> World:
    """Fields of the connection and of its default values may be set; by default the phone number is not the
    customer number."""
    user = get_user_model().objects.create_user("mette", first_name="Mette", last_name="Eksempelsen", is_staff=True)
    team = Team.objects.create(name="Service")
    template = TaskTemplate.objects.create(name="Skade", description="Ring til kunden først.", days_to_deadline=5)
    for place, text in enumerate(("Ring", "Besigtig", "Tag billeder")):
        TaskTemplateItem.objects.create(template=template, position=place, text=text)
    values = {
        "team": team,
        "responsible": user,
        "task_template": template,
        "customer_type": CustomerType.objects.create(name="Forsikring"),
        "order_type": Dimension.objects.create(kind="order_type", name="Skadeordre"),
        "phone_as_customer_number": False,
    }
    columns = {field.name for field in DefaultValues._meta.get_fields()}
    values |= {name: fields.pop(name) for name in columns & fields.keys()}
    made = Connection.objects.create(
        **{"contract_number": CONTRACT, "switch": "on", "user_name": "invented-user", "secret": SECRET, **fields}
    )
    for name, value in values.items():
        setattr(made.default_values, name, value)
    made.default_values.save()
    nord = InsuranceCompany.objects.create(
        name="Nord Forsikring (eksempel)", alias="nordins", sub_alias="nordins-bolig"
    )
    syd = InsuranceCompany.objects.create(name="Syd Forsikring (eksempel)", alias="sydins")
    SecurityToken.objects.create(company=nord, label="", token=NORD_TOKEN)
    SecurityToken.objects.create(company=syd, label="", token=SYD_TOKEN)
    return World(made, nord, syd)


def assignment(number: int = 1, **blocks: Any) -> dict[str, Any]:
    """The invented assignment with that number; blocks are merged in ({"case": {"number": "x"}})."""
    event: dict[str, Any] = json.loads((FIXTURES / "repair_service_requested" / "full.json").read_text())
    if number != 1:
        text = json.dumps(event).replace("20310506-07", f"20310506-{number:05d}").replace("000000000", f"{number:09d}")
        event = json.loads(text.replace("00112233", f"{20000000 + number}"))
    changed: dict[str, Any] = merged(event, blocks)
    return changed


def merged(base: Any, change: Any) -> Any:
    """JSON with another laid over it, object by object. None takes a key away."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    result = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def receive(world: World, *events: Any, insurer: InsuranceCompany | None = None) -> list[InboundEvent]:
    """Store events as the endpoint does; they are not handled yet. ``insurer``: whose token it was (nord)."""
    found = [read_envelope(event, vendor_id) for each in events for event, vendor_id in find_events(each, 1000)]
    receipts = store.receive(world.connection.pk, (insurer or world.nord).pk, found)
    rows = InboundEvent.objects.in_bulk([receipt.id for receipt in receipts])
    return [rows[receipt.id] for receipt in receipts]


def handle(world: World, *events: Any, insurer: InsuranceCompany | None = None) -> list[InboundEvent]:
    """Store events and drain the inbox, one after another; the rows as they are in the end. Of one batch the database
    would choose the order."""
    rows = []
    for event in events:
        rows += receive(world, event, insurer=insurer)
        drain(queues.EVENTS)
    for row in rows:
        row.refresh_from_db()
    return rows
