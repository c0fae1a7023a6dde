from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class Dimension(models.Model):
    """One value of the lists by which the office sorts its work, as its accounts know them: one table, seven kinds."""

    class Kind(models.TextChoices):
        ORDER_TYPE = "order_type", _("Order type")
        CASE_GROUP = "case_group", _("Case group")
        PRICE_GROUP = "price_group", _("Price group")
        MARGIN_GROUP = "margin_group", _("Margin group")
        DEPARTMENT = "department", _("Department")
        CARRIER = "carrier", _("Carrier")
        PURPOSE = "purpose", _("Purpose")

    kind = models.CharField(_("list"), max_length=20, choices=Kind)
    code = models.CharField(
        _("number"), max_length=50, blank=True, help_text=_("The number used in your accounts, if there is one.")
    )
    name = models.CharField(_("name"), max_length=200)
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Make a value inactive, instead of deleting it, when it is no longer used."),
    )

    class Meta:
        verbose_name = _("list value")
        verbose_name_plural = _("lists")
        ordering = ["kind", "code", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "name"],
                name="scalepoint_tasks_dimension_name",
                violation_error_message=_("The list already has a value with this name."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}".strip()


def dimension(kind: Dimension.Kind, verbose_name: Any) -> "models.ForeignKey[Dimension | None, Dimension | None]":
    """The column for a value out of that list."""
    return models.ForeignKey(
        "scalepoint_tasks.Dimension",
        verbose_name=verbose_name,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        limit_choices_to={"kind": kind.value},
    )
