"""What arrived: the inbox row, which is also its queue entry."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from crm.encryption import decrypt_bytes
from scalepoint_integration.workqueue import QueueItem

# What an event is stored with, in the order of the INSERT; the first thirteen are what a replay copies.
COLUMNS = (
    "connection_id, insurer_id, source, dedupe_key, event_type, payload_version, correlation_id, vendor_id, "
    "case_number, service_reference, occurred_at, size, body, status, attempts, claims, error_code, error_facts, "
    "last_error"
)


class InboundEvent(QueueItem):
    """One stored delivery. ``content()`` is the unwrapped event in canonical JSON (keys sorted, UTF-8) with everything
    secret taken out; ``dedupe_key`` is its SHA-256 in hex, ``size`` its length. ``body`` is it as stored: encrypted,
    because it names people. ``occurred_at`` is Scalepoint's time, ``received_at`` ours.
    """

    ENCRYPTED = ("body",)

    class Source(models.TextChoices):
        PUSH = "push", _("sent to us")
        POLL = "poll", _("fetched by us")
        TEST = "test", _("our own test case")

    connection = models.ForeignKey(
        "scalepoint_integration.Connection", models.PROTECT, related_name="events", verbose_name=_("connection")
    )
    insurer = models.ForeignKey(
        "scalepoint_crm.InsuranceCompany",
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("insurance company"),
        help_text=_("The insurance company whose security token was used."),
    )
    case = models.ForeignKey(
        "scalepoint_integration.Case", models.SET_NULL, null=True, related_name="events", verbose_name=_("case")
    )
    replay_of = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="replays", verbose_name=_("replay of")
    )
    source = models.CharField(_("source"), max_length=5, choices=Source, default=Source.PUSH)
    dedupe_key = models.CharField(max_length=64)
    event_type = models.CharField(_("event type"), max_length=100)
    payload_version = models.CharField(_("version"), max_length=20, blank=True)
    correlation_id = models.CharField(_("correlation id"), max_length=100, blank=True, db_index=True)
    vendor_id = models.CharField(_("Scalepoint's event id"), max_length=100, blank=True, db_index=True)
    case_number = models.CharField(_("case number"), max_length=100, blank=True, db_index=True)
    service_reference = models.CharField(_("service reference"), max_length=100, blank=True, db_index=True)
    occurred_at = models.DateTimeField(_("occurred"), null=True)
    received_at = models.DateTimeField(_("received"), db_default=Now(), db_index=True)
    size = models.PositiveIntegerField(_("size in bytes"), default=0)
    body = models.BinaryField(null=True)
    # How often the same came again, and when last: nothing was done a second time (SP-107).
    duplicates = models.PositiveIntegerField(_("received again"), default=0, db_default=0, editable=False)
    duplicate_at = models.DateTimeField(_("last received again"), null=True, editable=False)
    # What the office may want to know although all went well: a code of the catalogue (SP-108).
    notice = models.CharField(max_length=10, blank=True, default="", db_default="", editable=False)
    # Why a person set it aside.
    ignored_because = models.CharField(
        _("ignored because"), max_length=300, blank=True, default="", db_default="", editable=False
    )

    class Meta(QueueItem.Meta):
        verbose_name = _("event")
        verbose_name_plural = _("events")
        permissions = [
            ("view_raw_payload", "Can see the raw content of events"),
            ("retry_event", "Can retry failed events"),
            ("replay_event", "Can run handled events again"),
        ]
        indexes = [
            *QueueItem.Meta.indexes,
            models.Index(fields=["insurer", "-id"], name="sp_event_insurer"),
            # Two filters of the event log; without these a rare type took two seconds among a million events.
            models.Index(fields=["event_type", "-id"], name="sp_event_type"),
            models.Index(fields=["-id"], condition=Q(source="test"), name="sp_event_test"),
        ]
        constraints = [
            # A replay is a new line with the same content, so it stands outside the rule.
            models.UniqueConstraint(
                fields=["connection", "dedupe_key"], condition=Q(replay_of=None), name="sp_event_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.case_number or self.pk}"

    def content(self) -> bytes | None:
        """None once the retention rule has emptied it. May raise crm.encryption.SecretUnreadable."""
        return None if self.body is None else decrypt_bytes(bytes(self.body))


class EventAttempt(models.Model):
    """A try of an event that did not succeed. The one that did is the event's own ``finished_at``: an event that goes
    well costs no row. ``retried_by`` is the person who asked for the next try."""

    event = models.ForeignKey(InboundEvent, models.CASCADE, related_name="tries", verbose_name=_("event"))
    at = models.DateTimeField(_("when"), db_default=Now())
    error_code = models.CharField(_("error code"), max_length=10)
    error_facts = models.JSONField(default=dict)
    detail = models.TextField(_("technical error"), blank=True)
    retried_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("retried by")
    )

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.error_code
