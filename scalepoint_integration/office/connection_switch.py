"""Turning the switch of a connection."""

from functools import partial
from typing import Any

from django.db import transaction

from scalepoint_integration import queues
from scalepoint_integration.models import Connection
from scalepoint_integration.workqueue.doorbell import ring


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
