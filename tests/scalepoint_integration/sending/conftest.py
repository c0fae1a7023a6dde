from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from scalepoint_integration import client
from scalepoint_integration.models import Case, OutboundEvent
from scalepoint_integration.sending import outbox
from tests.support.world import World, make_world

SWITCHES = ("send_case_number", "send_messages", "send_payment_status", "send_files", "send_invoices")


@dataclass
class Scalepoint:
    """Stands where the client stands: keeps what was sent, and answers as told."""

    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    in_transaction: list[bool] = field(default_factory=list)

    def take(self, kind: str, body: dict[str, Any]) -> client.Answer:
        self.sent.append((kind, body))
        self.in_transaction.append(connection.in_atomic_block)
        if self.errors:
            raise self.errors.pop(0)
        return client.Answer(202, "taken")


@pytest.fixture
def scalepoint(monkeypatch: pytest.MonkeyPatch) -> Scalepoint:
    made = Scalepoint()
    monkeypatch.setattr(client, "send", lambda connection, kind, body: made.take(kind, body))
    monkeypatch.setattr(client, "submit_file", lambda connection, body: made.take("file", body))
    monkeypatch.setattr(client, "submit_expense", lambda connection, body: made.take("expense", body))
    return made


@pytest.fixture
def world(db: None) -> World:
    return sending_world()


def sending_world(**connection: Any) -> World:
    return make_world(**{**dict.fromkeys(SWITCHES, True), **connection})


def make_case(world: World, which: int = 1, **fields: Any) -> Case:
    names = {"token": f"ic.token-{which}", "case_id": f"case-id-{which}", "insurer": world.nord}
    return Case.objects.create(connection=world.connection, **{**names, **fields})


def sender() -> Any:
    user = get_user_model().objects.get(username="mette")
    user.email = "mette@firma.example"
    user.save()
    return user


def write(case: Case, text: str) -> OutboundEvent:
    item = outbox.send_message(case, "", text, key=f"{case.pk}-{text}")
    assert item
    return item


def due_now() -> None:
    OutboundEvent.objects.filter(status="pending").update(available_at=timezone.now())


def texts(scalepoint: Scalepoint) -> list[str]:
    return [body["message"]["text"] for _kind, body in scalepoint.sent]
