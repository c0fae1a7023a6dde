from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Team(models.Model):
    """People who share tasks. A team that is switched off stays on what it has and gets nothing new."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, verbose_name=_("members"), blank=True, related_name="scalepoint_teams"
    )
    active = models.BooleanField(
        _("active"), default=True, help_text=_("Inactive teams are given nothing new. Use this instead of deleting.")
    )

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
