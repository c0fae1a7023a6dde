"""What Celery runs. Nothing is decided here, and no job has arguments: what there is to do stands in the database."""

from celery import shared_task
from django.utils import timezone

from scalepoint_integration import images, inbox, notices, outbox, poller, send_test, settlements


@shared_task
def drain() -> None:
    inbox.drain()


@shared_task
def drain_images() -> None:
    images.drain()


@shared_task
def drain_outbound() -> None:
    outbox.drain()


@shared_task
def drain_notices() -> None:
    notices.drain()


@shared_task
def poll() -> None:
    poller.drain()


@shared_task
def drain_settlements() -> None:
    settlements.drain()


@shared_task
def sweep() -> None:
    inbox.sweep()


@shared_task
def prune() -> None:
    inbox.prune()
    send_test.prune(timezone.now())
