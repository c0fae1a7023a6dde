"""What we tell Scalepoint: written with its cause, sent later, also its own queue entry."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.workqueue import QueueItem


class OutboundEvent(QueueItem):
    """``facts`` is what the body is made of when it is sent (outbox.py knows the shape per kind); ``key`` makes the
    same wish one row, and travels as the correlation id, so that a doubtful sending can be repeated."""

    class Kind(models.TextChoices):
        CASE_NUMBER = "case_number", _("Our case number")
        CASE_NUMBER_FAILED = "case_number_failed", _("No case number could be created")
        MESSAGE = "message", _("Message")
        PAYMENT_STATUS = "payment_status", _("Payment status")
        FILE = "file", _("File")
        EXPENSE = "expense", _("Invoice")

    connection = models.ForeignKey(
        "scalepoint_integration.Connection", models.PROTECT, related_name="outbound", verbose_name=_("connection")
    )
    case = models.ForeignKey(
        "scalepoint_integration.Case", models.PROTECT, null=True, related_name="outbound", verbose_name=_("case")
    )
    kind = models.CharField(_("what"), max_length=20, choices=Kind)
    key = models.CharField(max_length=64)
    facts = models.JSONField(default=dict, editable=False)
    content = models.BinaryField(null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("sent by")
    )
    created_at = models.DateTimeField(_("written"), auto_now_add=True)
    answer = models.TextField(_("Scalepoint's answer"), blank=True, editable=False)

    class Meta(QueueItem.Meta):
        verbose_name = _("outbound event")
        verbose_name_plural = _("outbound events")
        permissions = [("send_outbound", "Can send to Scalepoint")]
        constraints = [models.UniqueConstraint(fields=["connection", "kind", "key"], name="sp_outbound_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.case or self.key}"
