"""The requests that were not accepted: a bounded list."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from crm.encryption import decrypt_bytes


class Refusal(models.Model):
    """A try that was not accepted. Bounded in number and age (inbox.prune). ``content()`` only where the sender was
    known, cut, and with everything secret taken out; ``body`` is it encrypted."""

    ENCRYPTED = ("body",)

    connection = models.ForeignKey(
        "scalepoint_integration.Connection",
        models.CASCADE,
        null=True,
        related_name="refusals",
        verbose_name=_("connection"),
    )
    received_at = models.DateTimeField(_("received"), db_default=Now(), db_index=True)
    http_status = models.PositiveSmallIntegerField(_("response"))
    code = models.CharField(_("error code"), max_length=10)
    detail = models.CharField(_("technical reason"), max_length=200, blank=True)
    incident = models.CharField(_("incident"), max_length=16, db_index=True)
    remote_address = models.CharField(_("address"), max_length=64, blank=True)
    size = models.PositiveBigIntegerField(_("size in bytes"), null=True)
    token_last4 = models.CharField(_("token ends with"), max_length=4, blank=True)
    body = models.BinaryField(null=True)

    class Meta:
        verbose_name = _("refused request")
        verbose_name_plural = _("refused requests")
        indexes = [models.Index(fields=["connection", "-id"], name="sp_refusal_newest")]

    def __str__(self) -> str:
        return f"{self.http_status} {self.code}"

    def content(self) -> bytes | None:
        """May raise crm.encryption.SecretUnreadable."""
        return None if self.body is None else decrypt_bytes(bytes(self.body))
