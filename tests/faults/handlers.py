"""Handlers of a host that does things no host should do."""

import os
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from crm.models import Customer
from scalepoint_integration.models import InboundEvent


def kill_worker(event: InboundEvent, payload: Any, now: datetime) -> None:
    Customer.objects.create(name="half made")
    os.kill(os.getpid(), signal.SIGKILL)


def take_long(event: InboundEvent, payload: Any, now: datetime) -> None:
    """Write, say so in a file, and wait until told to go on."""
    Customer.objects.create(name=f"slow {event.claims}")
    Path(payload["began"]).write_text(str(os.getpid()))
    while not Path(payload["go"]).exists():
        time.sleep(0.05)


def count(event: InboundEvent, payload: Any, now: datetime) -> None:
    Customer.objects.create(name=f"counted {payload['n']}")
