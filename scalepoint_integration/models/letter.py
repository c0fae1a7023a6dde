"""The mail with which the office asks Scalepoint to open."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class ScalepointMail(models.Model):
    """The mail with which the office asks Scalepoint to open. Holds no secret."""

    class How(models.TextChoices):
        SENT = "sent", _("Sent from here")
        OUTSIDE = "outside", _("Sent from your own mail program")

    connection = models.ForeignKey(
        "scalepoint_integration.Connection", models.CASCADE, related_name="mails", verbose_name=_("connection")
    )
    how = models.CharField(_("how"), max_length=10, choices=How)
    recipient = models.EmailField(_("to"), blank=True)
    subject = models.CharField(_("subject"), max_length=200)
    body = models.TextField(_("text"))
    sent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("sent by")
    )
    sent_at = models.DateTimeField(_("sent"), auto_now_add=True)

    class Meta:
        verbose_name = _("email to Scalepoint")
        verbose_name_plural = _("emails to Scalepoint")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.subject
