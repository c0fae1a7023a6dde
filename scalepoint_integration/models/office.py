"""What belongs to the people in the office: their settings, what they are told, what they wrote and saved."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.workqueue import QueueItem


class UserSettings(models.Model):
    """One row per user who set something; without one, the defaults below hold."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="scalepoint_settings", verbose_name=_("user")
    )
    scalepoint_user_name = models.CharField(
        _("Scalepoint user name"),
        max_length=200,
        blank=True,
        help_text=_("Invoices and messages to Scalepoint go out under this name."),
    )
    tell_new_case = models.BooleanField(_("new cases that I am responsible for"), default=True)
    tell_team_case = models.BooleanField(_("new cases of my team that nobody is responsible for"), default=True)
    tell_message = models.BooleanField(_("messages on my cases"), default=True)
    tell_failures = models.BooleanField(_("errors, if I am among those who are told"), default=True)
    tell_silence = models.BooleanField(_("an insurance company that is silent, if I am among those"), default=True)

    class Meta:
        verbose_name = _("settings of a user")
        verbose_name_plural = _("settings of users")

    def __str__(self) -> str:
        return str(self.user)

    @classmethod
    def name_at_scalepoint(cls, user: Any) -> str:
        """What Scalepoint calls the user; empty where nobody said."""
        return cls._default_manager.filter(user=user).values_list("scalepoint_user_name", flat=True).first() or ""


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


class SavedView(models.Model):
    """A list of cases that somebody filtered and named. ``query`` is the part of the address behind the question
    mark."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=60)
    query = models.CharField(max_length=1000)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="sp_saved_view_once")]

    def __str__(self) -> str:
        return self.name


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
        "scalepoint_integration.OutboundEvent", models.SET_NULL, null=True, related_name="+", verbose_name=_("sending")
    )
    created_at = models.DateTimeField(_("written"), auto_now_add=True)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text[:60]


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
        verbose_name = _("mail to Scalepoint")
        verbose_name_plural = _("mails to Scalepoint")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.subject
