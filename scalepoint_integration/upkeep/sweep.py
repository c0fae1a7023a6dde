"""Finding what the rings missed."""

import logging
from collections.abc import Callable

from django.apps import apps
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from scalepoint_integration import queues, workqueue
from scalepoint_integration.models import Heartbeat
from scalepoint_integration.queues import Queue
from scalepoint_integration.workqueue.doorbell import ring
from scalepoint_integration.workqueue.drain import drain, due

logger = logging.getLogger(__name__)


def sweep(otherwise: Callable[[Queue], object] = ring) -> None:
    """Find what the rings missed. Alone it is enough to get everything done: what belongs to the sweep's own Celery
    queue is worked here, and ``otherwise`` is called with each of the other queues that has something due."""
    Heartbeat.objects.update_or_create(name=queues.SWEEP.name, defaults={"at": timezone.now()})
    for queue in queues.QUEUES:
        _give_up(queue)
    for queue in queues.QUEUES:
        if queue.celery == queues.SWEEP.celery:
            drain(queue)
        elif due(queue):
            otherwise(queue)


def _give_up(queue: Queue) -> None:
    model = apps.get_model(queue.model)
    with transaction.atomic():
        lost = workqueue.give_up(model)
        if lost and queue.lost:
            import_string(queue.lost)(lost)
    for row in lost:
        logger.error("%s %s was given up: its worker died %s times", model.__name__, row.pk, row.attempts)
