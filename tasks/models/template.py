from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class TaskTemplate(models.Model):
    """How a new task begins."""

    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        help_text=_("Your own name for the template; it does not appear on tasks."),
    )
    title = models.CharField(
        _("title"), max_length=200, blank=True, help_text=_("Placed first in the title of every new task.")
    )
    description = models.TextField(
        _("description"), blank=True, help_text=_("Placed above the description of the damage.")
    )
    days_to_deadline = models.PositiveSmallIntegerField(
        _("days until the deadline"), null=True, blank=True, help_text=_("Leave empty for no deadline.")
    )
    team = models.ForeignKey(
        "scalepoint_crm.Team", verbose_name=_("team"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    responsible = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("responsible user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("No new tasks are created from an inactive template. Use this instead of deleting."),
    )

    class Meta:
        verbose_name = _("task template")
        verbose_name_plural = _("task templates")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TaskTemplateItem(models.Model):
    template = models.ForeignKey(
        TaskTemplate, verbose_name=_("task template"), on_delete=models.CASCADE, related_name="items"
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    text = models.CharField(_("text"), max_length=300)

    class Meta:
        verbose_name = _("checklist item")
        verbose_name_plural = _("checklist")
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.text
