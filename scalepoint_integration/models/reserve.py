"""The money an insurer has set aside on a case."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.models.columns import money, text
from scalepoint_integration.models.registers import Registers
from scalepoint_integration.payloads.reserve import AMOUNTS, FLAGS, TEXTS

_COLUMNS = {"isdefault": "is_default"} | {name: name.replace(".", "_") for name in (*AMOUNTS, *TEXTS) if name != "id"}


def _typed(name: str, value: str | None) -> Any:
    if name in AMOUNTS:
        return None if value is None else Decimal(value)
    if name in FLAGS:
        return None if value is None else value == "true"
    return value or ""


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
    is_default = models.BooleanField(_("default reserve"), null=True)
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

    def take(self, registers: Registers) -> None:
        """Hold these, and read the columns out of them."""
        self.registers = registers
        known = {name: register["now"] for name, register in registers.items()}
        for name, column in _COLUMNS.items():
            setattr(self, column, _typed(name, known.get(name)))
        # The id is said twice; what the list of changes is filed under counts.
        self.extra = {name: value for name, value in known.items() if name not in _COLUMNS and name != "id"}
