"""The money an insurer has set aside on a case."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.models.money import money, text


class Reserve(models.Model):
    """Scalepoint tells changes, property by property and in any order. ``registers`` holds of each property the
    newest one, with its time: {"planned": {"now", "before", "at"}}; the columns are read out of it, and ``extra`` is
    what there is no column for."""

    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="reserves", verbose_name=_("case")
    )
    reserve_id = models.CharField(_("reserve"), max_length=100)
    title = text(_("title"))
    planned = money(_("planned"))
    actual = money(_("actual"))
    outgoing = money(_("outgoing"))
    incoming = money(_("incoming"))
    is_default = models.BooleanField(_("the usual one"), null=True)
    type_id = text()
    type_name = text(_("type"))
    type_code = text(_("type code"))
    type_flow = text()
    registers = models.JSONField(default=dict, editable=False)
    extra = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("reserve")
        verbose_name_plural = _("reserves")
        constraints = [models.UniqueConstraint(fields=["case", "reserve_id"], name="sp_reserve_once")]

    def __str__(self) -> str:
        return self.title or self.reserve_id
