"""What happened, told to host sites after the commit. Nothing inside this project listens.

Each is sent with ``sender=Case`` and ``case``, message_received also with ``message`` (a CaseMessage); a listener that
fails is logged and costs nothing.
"""

from functools import partial
from typing import Any

from django.db import transaction
from django.dispatch import Signal

from scalepoint_integration.models import Case

case_created = Signal()  # a service became a task
case_updated = Signal()  # a later event changed or confirmed it
case_closed = Signal()  # Scalepoint closed the case; why is in lifecycle.closing(case.lifecycle)
case_reopened = Signal()  # Scalepoint opened it again
message_received = Signal()  # a message that was not told before


def announce(signal: Signal, case: Case, **facts: Any) -> None:
    """Send the signal when the transaction is committed."""
    transaction.on_commit(partial(signal.send_robust, sender=Case, case=case, **facts), robust=True)
