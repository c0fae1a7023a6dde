"""Deleting what the site promised not to keep."""

from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone

from scalepoint_integration import adapter
from scalepoint_integration.conf import conf
from scalepoint_integration.models import ImagePull, InboundEvent, OutboundEvent, Refusal
from scalepoint_integration.test_cases import cleanup


def prune() -> None:
    """Delete what the site promised not to keep: the content of handled events, and old refused tries."""
    options = conf()
    old = Now() - timedelta(days=options.body_days)
    InboundEvent.objects.filter(received_at__lt=old).exclude(status=InboundEvent.Status.PENDING).exclude(
        body=None
    ).update(body=None)
    ImagePull.objects.filter(created_at__lt=old, status=ImagePull.Status.FAILED).exclude(content=None).update(
        content=None
    )
    OutboundEvent.objects.filter(created_at__lt=old).exclude(status=OutboundEvent.Status.PENDING).exclude(
        facts={}
    ).update(facts={}, content=None, answer="")
    Refusal.objects.filter(received_at__lt=Now() - timedelta(days=options.refusal_days)).delete()
    adapter.prune(timezone.now().date())
    cleanup.prune(timezone.now())
