"""How far the fetching of events has come, and who fetches. Only the poller writes here, so this row has no history and
nobody who edits the connection can lose its place."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class PollerState(models.Model):
    """One for each connection, created with it."""

    connection = models.OneToOneField(
        "scalepoint_integration.Connection",
        models.CASCADE,
        primary_key=True,
        related_name="poller_state",
        verbose_name=_("connection"),
    )
    cursor = models.CharField(max_length=100, blank=True)
    next_url = models.TextField(blank=True)
    leased_until = models.DateTimeField(null=True)
    polled_at = models.DateTimeField(_("last fetched"), null=True)
    problem = models.CharField(max_length=10, blank=True)

    class Meta:
        default_permissions = ()  # nobody edits it
        verbose_name = _("fetch status")
        verbose_name_plural = _("fetch status")

    def __str__(self) -> str:
        return str(self.connection)
