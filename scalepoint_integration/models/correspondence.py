"""What Scalepoint told about a case beside its facts: messages, files, and events that only need to be read.

Each row is keyed by Scalepoint's own id where there is one, so that told twice is told once. None of these is touched
by an office worker; what becomes of them on the tasks is followup.py's.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _

from scalepoint_integration import events


class CaseMessage(models.Model):
    """A message on the case. ``attachments`` is a list of {"name", "type", "by"}; Scalepoint sends no link to them."""

    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="messages", verbose_name=_("case")
    )
    key = models.CharField(max_length=64)
    channel = models.CharField(_("channel"), max_length=50, blank=True)
    sender_name = models.CharField(_("sender"), max_length=200, blank=True)
    sender_email = models.CharField(_("email"), max_length=254, blank=True)
    sender_phone = models.CharField(_("phone"), max_length=50, blank=True)
    sender_type = models.CharField(max_length=100, blank=True)
    sender_role = models.CharField(_("role"), max_length=100, blank=True)
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    content = models.TextField(_("content"), blank=True)
    attachments = models.JSONField(default=list)
    sent_at = models.DateTimeField(_("sent"), null=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [models.UniqueConstraint(fields=["case", "key"], name="sp_message_once")]

    def __str__(self) -> str:
        return self.subject or self.sender_name or self.key[:12]


class CaseAttachment(models.Model):
    """A file of the case at Scalepoint. Added and deleted may come in any order: the newest statement counts."""

    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="attachments", verbose_name=_("case")
    )
    guid = models.CharField(max_length=100)
    link = models.TextField(blank=True)
    file_name = models.CharField(_("file name"), max_length=255, blank=True)
    file_type = models.CharField(_("type"), max_length=100, blank=True)
    action = models.CharField(max_length=100, blank=True)
    deleted = models.BooleanField(_("deleted at Scalepoint"), default=False)
    said_at = models.DateTimeField(_("changed"))

    class Meta:
        verbose_name = _("file at Scalepoint")
        verbose_name_plural = _("files at Scalepoint")
        constraints = [models.UniqueConstraint(fields=["case", "guid"], name="sp_attachment_once")]

    def __str__(self) -> str:
        return self.file_name or self.guid


class CaseNote(models.Model):
    """An event that is kept to be read: ``text`` says it in a sentence, ``facts`` holds its details."""

    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="case_notes", verbose_name=_("case")
    )
    key = models.CharField(max_length=64)
    kind = models.CharField(_("what happened"), max_length=100)
    text = models.TextField(_("text"), blank=True)
    facts = models.JSONField(default=dict)
    said_at = models.DateTimeField(_("when"))

    class Meta:
        verbose_name = _("note from Scalepoint")
        verbose_name_plural = _("notes from Scalepoint")
        constraints = [models.UniqueConstraint(fields=["case", "key"], name="sp_note_once")]

    def __str__(self) -> str:
        return events.words(self.kind)
