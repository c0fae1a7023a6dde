"""The case-name template: merge fields in square brackets, as ``Scalepoint: [SagsNummerIScalePoint]``.

A field has a Danish and an English name; case does not matter. Values are put in once and never read again as
a template, so a policyholder called "[By]" stays "[By]". No template engine: it would be a language for payloads.
"""

import difflib
import re
from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

DEFAULT_TEMPLATE = "Scalepoint: [SagsNummerIScalePoint]"

# What can be named -> its Danish names, then its English ones. The first is E-Komplet's own.
FIELDS: dict[str, tuple[str, ...]] = {
    "case_number": ("SagsNummerIScalePoint", "Sagsnummer", "CaseNumber"),
    "policy_number": ("Policenummer", "PolicyNumber"),
    "policyholder": ("Forsikringstager", "Policyholder"),
    "address": ("Adresse", "Address"),
    "city": ("By", "City"),
    "damage_type": ("Skadetype", "DamageType"),
    "insurer": ("Selskab", "Insurer"),
    "service_reference": ("Servicereference", "ServiceReference"),
}
_KEY_OF = {name.casefold(): key for key, names in FIELDS.items() for name in names}
_FIELD = re.compile(r"\[([A-Za-zÆØÅæøå0-9_]{1,64})\]")


def unknown_fields(template: str) -> dict[str, str]:
    """The fields of the template that do not exist, each with the name that was probably meant ("" if none is near)."""
    names = {name.casefold(): name for group in FIELDS.values() for name in group}
    found = {}
    for name in _FIELD.findall(template):
        if name.casefold() not in names:
            near = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.6)
            found[name] = names[near[0]] if near else ""
    return found


def render(template: str, values: Mapping[str, str], limit: int) -> tuple[str, bool]:
    """The name of a case, at most ``limit`` characters, and whether it had to be cut. Keys of values as in FIELDS."""

    def fill(found: re.Match[str]) -> str:
        key = _KEY_OF.get(found[1].casefold())
        return values.get(key, "") if key else found[0]

    name = " ".join(_FIELD.sub(fill, template).split())
    if len(name) <= limit:
        return name, False
    return name[: limit - 1].rstrip() + "…", True


def validate_case_name(template: str) -> None:
    """Refuse a case-name template with a field that does not exist, and say which one was probably meant."""
    for name, meant in unknown_fields(template).items():
        if meant:
            raise ValidationError(
                _("The field [%(name)s] does not exist. Did you mean [%(meant)s]?"),
                params={"name": name, "meant": meant},
            )
        raise ValidationError(_("The field [%(name)s] does not exist."), params={"name": name})
