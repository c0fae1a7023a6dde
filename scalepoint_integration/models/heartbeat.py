"""Whether the background job is alive."""

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.queues import SWEEP


class Heartbeat(models.Model):
    """When the background job was last seen alive: one row, written by every sweep."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField(_("last seen"))

    class Meta:
        default_permissions = ()
        verbose_name = _("background job")
        verbose_name_plural = _("background jobs")

    def __str__(self) -> str:
        return self.name


def alive(now: datetime) -> bool:
    """Whether the background job was seen lately: a sweep is due every ten seconds, and a long drain may delay it."""
    return Heartbeat.objects.filter(name=SWEEP.name, at__gt=now - timedelta(minutes=2)).exists()
