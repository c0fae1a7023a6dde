"""The settings of a user."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class UserSettings(models.Model):
    """One row per user who set something; without one, the defaults below hold."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="scalepoint_settings", verbose_name=_("user")
    )
    scalepoint_user_name = models.CharField(
        _("Scalepoint user name"),
        max_length=200,
        blank=True,
        help_text=_("Invoices and messages to Scalepoint are sent under this name."),
    )
    tell_new_case = models.BooleanField(_("new cases that I am responsible for"), default=True)
    tell_team_case = models.BooleanField(_("new cases for my team that are unassigned"), default=True)
    tell_message = models.BooleanField(_("messages on my cases"), default=True)
    tell_failures = models.BooleanField(_("errors, if I am one of the people notified"), default=True)
    tell_silence = models.BooleanField(
        _("an insurance company that has gone silent, if I am one of them"), default=True
    )

    class Meta:
        verbose_name = _("user's settings")
        verbose_name_plural = _("users' settings")

    def __str__(self) -> str:
        return str(self.user)

    @classmethod
    def name_at_scalepoint(cls, user: Any) -> str:
        """What Scalepoint calls the user; empty where nobody said."""
        return cls._default_manager.filter(user=user).values_list("scalepoint_user_name", flat=True).first() or ""
