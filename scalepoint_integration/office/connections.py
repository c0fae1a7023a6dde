"""The state of a connection, as an office needs to know it, and its switch."""

from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from crm.models import SecurityToken
from scalepoint_integration import queues
from scalepoint_integration.models import Connection, InboundEvent, ScalepointMail
from scalepoint_integration.models.heartbeat import alive
from scalepoint_integration.workqueue.doorbell import ring


class State(TextChoices):
    """What an office needs to know of a connection, in one word."""

    READY = "ready", _("Ready")
    MISSING = "missing", _("Something is missing")
    WAITING = "waiting", _("Waiting for Scalepoint")
    PAUSED = "paused", _("Paused")
    OFF = "off", _("Off")
    ERROR = "error", _("Error")


def connection_state(connection: Connection, now: datetime) -> State:
    """What a person chose comes first (off, on hold), then what is broken, then what is not there yet: a proof by which
    Scalepoint gets in, and the first event of theirs. Who asked Scalepoint for the proof waits for Scalepoint."""
    if connection.switch == Connection.Switch.OFF:
        return State.OFF
    if connection.switch == Connection.Switch.PAUSED:
        return State.PAUSED
    if not alive(now) or (connection.poll and connection.poll_problem):
        return State.ERROR
    proof = bool(connection.secret_digest) or SecurityToken.objects.live(now).filter(company__active=True).exists()
    if connection.poll:
        proof = proof or bool(connection.client_id)
    if not proof:
        asked = ScalepointMail.objects.filter(connection=connection).exists()
        return State.WAITING if asked else State.MISSING
    events = InboundEvent.objects.filter(connection=connection).exclude(source=InboundEvent.Source.TEST)
    return State.READY if events.exists() else State.WAITING


def turn_switch(connection: Connection, by: Any, position: Connection.Switch) -> bool:
    """Turn the switch, with the history of who did it. Returns False if it is in this position already. Once it is on,
    what was stored meanwhile is handled. The given connection is not changed; read it again."""
    with transaction.atomic():
        row = Connection.objects.select_for_update(of=("self",)).get(pk=connection.pk)
        if row.switch == position:
            return False
        row.switch = position
        row._history_user = by  # type: ignore[attr-defined]
        row.save(update_fields=["switch"])
        if position == Connection.Switch.ON:
            transaction.on_commit(partial(ring, queues.EVENTS), robust=True)
    return True
