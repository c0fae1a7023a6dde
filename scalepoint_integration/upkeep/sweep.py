"""Finding what the rings missed."""

import logging

from django.db.models.functions import Now
from django.utils import timezone

from scalepoint_integration import notices, outbox, workqueue
from scalepoint_integration.handling import run
from scalepoint_integration.models import (
    Heartbeat,
    ImagePull,
    InboundEvent,
    Notice,
    OutboundEvent,
    SettlementPull,
)
from scalepoint_integration.models.heartbeat import SWEEP
from scalepoint_integration.workqueue.doorbell import ring

logger = logging.getLogger(__name__)


def sweep() -> None:
    """Find what the rings missed. Alone it is enough to get everything done."""
    Heartbeat.objects.update_or_create(name=SWEEP, defaults={"at": timezone.now()})
    for model in (InboundEvent, ImagePull, OutboundEvent, SettlementPull, Notice):
        for row in run.give_up() if model is InboundEvent else workqueue.give_up(model):
            logger.error("%s %s was given up: its worker died %s times", model.__name__, row.pk, row.attempts)
    run.drain()
    if ImagePull.objects.filter(status=ImagePull.Status.PENDING, available_at__lte=Now()).exists():
        ring("drain_images")
    if notices.due():
        ring("drain_notices")
    if outbox.due():
        ring("drain_outbound")
    if SettlementPull.objects.filter(status=SettlementPull.Status.PENDING, available_at__lte=Now()).exists():
        ring("drain_settlements")
