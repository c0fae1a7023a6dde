"""A mail to one person; also its own queue entry."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.workqueue import QueueItem


class Notice(QueueItem):
    """Something one person is to be told by mail: written with its cause, sent later, its own queue entry. ``key``
    makes the same news one row per person. ``facts`` is what the text needs (notices.py knows the shapes)."""

    class Kind(models.TextChoices):
        NEW_CASE = "new_case", _("New case")
        MESSAGE = "message", _("Message")
        FAILURE = "failure", _("Error")
        SILENCE = "silence", _("Silence")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("to"))
    kind = models.CharField(_("what"), max_length=10, choices=Kind)
    key = models.CharField(max_length=100)
    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, null=True, related_name="notice_mails", verbose_name=_("case")
    )
    facts = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField(_("written"), db_default=Now())

    class Meta(QueueItem.Meta):
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [models.UniqueConstraint(fields=["user", "kind", "key"], name="sp_notice_once")]

    def __str__(self) -> str:
        return self.get_kind_display()
