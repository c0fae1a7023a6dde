"""Alarms: telling of insurance companies that have been silent for too long."""

from django.utils import timezone

from scalepoint_integration.models import Connection
from scalepoint_integration.office.silence import silent
from scalepoint_integration.sending import notifications


def watch() -> None:
    """Tell of insurance companies that have been silent for too long."""
    now = timezone.now()
    for connection in Connection.objects.select_related("default_values").filter(switch=Connection.Switch.ON):
        for silence in silent(connection, now):
            since = timezone.localtime(silence.last).date().isoformat()
            notifications.about_silence(connection, silence.insurer, silence.days, since)
