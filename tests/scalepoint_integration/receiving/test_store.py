"""An event is stored exactly once, all of a request or none.

The content of events and of refused tries names people: it is encrypted at rest, and read through one door.
"""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DataError
from pytest_django import Settings

from crm.encryption import SecretUnreadable, decrypt_bytes, encrypt_bytes, is_current
from scalepoint_integration import errors, queues
from scalepoint_integration.handling import run
from scalepoint_integration.models import InboundEvent, Refusal
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.envelope import read_envelope
from scalepoint_integration.receiving import refusals, store
from scalepoint_integration.workqueue.drain import drain
from tests.support.world import FIXTURES, World, handle, make_world, receive

SETTLED = json.loads((FIXTURES / "case_settled" / "documented.json").read_text())
CPR = b"010170-0000"


def stored(model: Any = InboundEvent) -> bytes:
    return bytes(model.objects.get().body)


def test_nothing_of_an_event_can_be_read_in_the_database(world: World) -> None:
    [event] = handle(world, SETTLED)
    plain = event.content() or b""
    assert event.status == "done"
    assert CPR in plain and CPR not in stored() and b"case_settled" not in stored()
    assert plain == strict_json.canonical(strict_json.parse(json.dumps(SETTLED).encode()))
    assert (event.dedupe_key, event.size) == (hashlib.sha256(plain).hexdigest(), len(plain))
    # Encrypted it is another text each time: the same event is known by its digest all the same.
    receive(world, SETTLED)
    assert InboundEvent.objects.count() == 1
    again = run.replay(event)
    assert again.content() == plain


def test_what_was_stored_in_clear_is_still_read_and_then_encrypted(world: World) -> None:
    [event] = receive(world, SETTLED)
    plain = event.content() or b""
    InboundEvent.objects.update(body=plain)
    drain(queues.EVENTS)
    event.refresh_from_db()
    assert (event.status, event.content()) == ("done", plain)
    call_command("rotate_secrets")
    assert CPR not in stored() and is_current(stored())
    event.refresh_from_db()
    assert event.content() == plain


def test_a_refused_try_is_encrypted_too(world: World) -> None:
    refused = refusals.Refused(400, errors.UNREADABLE, "not JSON")
    refusals.note(refused, "i", world.connection.pk, "127.0.0.1", 20, body=b"{ " + CPR)
    assert CPR not in stored(Refusal)
    assert Refusal.objects.get().content() == b"{ " + CPR


def test_the_keys_of_contents_change_in_batches(world: World, settings: Settings, capsys: Any) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    receive(world, *({**SETTLED, "correlationId": str(number)} for number in range(45)))
    emptied = InboundEvent.objects.order_by("pk")[30]
    InboundEvent.objects.filter(pk=emptied.pk).update(body=None)
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_secrets")
    assert "InboundEvent.body: 44 encrypted anew, 0 up to date, 0 failed" in capsys.readouterr().out
    settings.FIELD_ENCRYPTION_KEYS = [new]
    rows = InboundEvent.objects.exclude(body=None)
    assert sum(CPR in (row.content() or b"") for row in rows) == 44
    call_command("rotate_secrets")
    assert "InboundEvent.body: 0 encrypted anew, 44 up to date, 0 failed" in capsys.readouterr().out


def test_a_key_that_is_missing_is_told_and_costs_no_content(world: World, settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    receive(world, SETTLED)
    before = stored()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(SecretUnreadable):
        InboundEvent.objects.get().content()
    with pytest.raises(CommandError):
        call_command("rotate_secrets")
    assert stored() == before
    drain(queues.EVENTS)
    assert InboundEvent.objects.get().status == "pending"  # the key may come back


@pytest.mark.parametrize(
    "plain", [b"", b"{}", b"f1:", b"f1:gAAAAAnot ours", "æ\ud800".encode("utf-8", "surrogatepass")]
)
def test_any_bytes_come_back(plain: bytes) -> None:
    assert decrypt_bytes(encrypt_bytes(plain)) == plain


@pytest.mark.django_db(transaction=True)
def test_receive_is_all_or_nothing() -> None:
    world = make_world()
    events = [read_envelope({"eventType": "x", "n": n}) for n in range(3)]
    too_much = [*events, replace(events[0], dedupe_key="f" * 64, event_type="x" * 101)]
    with pytest.raises(DataError):
        store.receive(world.connection.pk, world.nord.pk, too_much)
    assert InboundEvent.objects.count() == 0
    store.receive(world.connection.pk, world.nord.pk, events)
    assert InboundEvent.objects.count() == 3
