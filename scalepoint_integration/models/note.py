"""What the office writes on a case."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class OfficeNote(models.Model):
    """What somebody in the office wrote on a case. ``sending`` is there where it was shared with Scalepoint."""

    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="office_notes", verbose_name=_("case")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("written by")
    )
    text = models.TextField(_("note"))
    sending = models.ForeignKey(
        "scalepoint_integration.OutboundEvent",
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("outbound event"),
    )
    created_at = models.DateTimeField(_("written"), auto_now_add=True)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text[:60]
