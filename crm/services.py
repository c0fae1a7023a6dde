"""What others may ask of the customer register. Nothing here decides between several customers: it finds them all."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import Value
from django.db.models.functions import Lower

from crm.models import Customer, InsuranceCompany

# Calling code and whether numbers at home are written with a zero in front that falls away abroad.
_CALLING = {
    "DK": ("45", False),
    "NO": ("47", False),
    "FO": ("298", False),
    "GL": ("299", False),
    "IS": ("354", False),
    "SE": ("46", True),
    "DE": ("49", True),
    "FI": ("358", True),
}


def normalise_phone(raw: str, country: str = "DK") -> str:
    """One spelling for one number: 8 digits in Denmark, "+" and all digits abroad, "" for what is no number.

    Rather "" than a wrong one: by this number two people become one customer. So two numbers in one field are none,
    and neither is a filler such as 00000000.
    """
    text = unicodedata.normalize("NFKC", str(raw or ""))
    text = re.sub(r"[^0-9+]", "", text.replace("(0)", ""))
    # Eight digits are a number as they stand, also those of invented people, who have 00 in front.
    dialled_out = text.startswith("00") and len(text) != 8
    abroad = text.startswith("+") or dialled_out
    digits = text.removeprefix("00" if dialled_out else "+")
    if "+" in digits or len(set(digits)) < 2:
        return ""
    if not abroad:
        code, zero = _CALLING.get(country.upper(), ("", False))
        if code == "45" and len(digits) == 10 and digits.startswith("45"):
            digits = digits[2:]  # +45 without its plus
        if not code or (zero and not digits.startswith("0")):
            return ""
        digits = code + (digits[1:] if zero else digits)
    if digits.startswith("45"):
        return digits[2:] if len(digits) == 10 else ""
    return f"+{digits}" if 8 <= len(digits) <= 15 and not digits.startswith("0") else ""


def customers_by_number(number: str) -> list[Customer]:
    """All active customers with that number. A Danish telephone number is also found as people type it."""
    number = number.strip()
    spellings = [number]
    if re.fullmatch(r"[0-9]{8}", number):
        pairs = " ".join(number[at : at + 2] for at in (0, 2, 4, 6))
        spellings += [pairs, f"+45{number}", f"+45 {number}", f"+45 {pairs}", f"0045{number}"]
    return _active(customer_number__in=spellings) if number else []


def customers_by_policy(insurer: InsuranceCompany | None, policy_number: str) -> list[Customer]:
    """All active customers with that policy at that company. A policy number alone names nobody."""
    policy_number = policy_number.strip()
    return _active(insurer=insurer, policy_number=policy_number) if insurer and policy_number else []


def customers_of_insurer(insurer: InsuranceCompany) -> list[Customer]:
    """The customer that the insurance company itself is: the one it is linked to, else all companies of its name."""
    if insurer.customer:
        return [insurer.customer]
    named = Customer.objects.alias(lower=Lower("name")).filter(lower=Lower(Value(insurer.name.strip())))
    return list(named.filter(kind=Customer.Kind.COMPANY, active=True).order_by("id"))


def create_customer(**facts: Any) -> Customer:
    return Customer.objects.create(**fit(Customer, facts))


def find_insurer(alias: str, sub_alias: str = "") -> InsuranceCompany | None:
    """The company with alias and sub-alias, else the one with the alias and no sub-alias. It never guesses; and it
    may be switched off: that is the caller's question."""
    alias, sub_alias = alias.strip(), sub_alias.strip()
    if not alias:
        return None
    rows = InsuranceCompany.objects.alias(a=Lower("alias"), s=Lower("sub_alias")).filter(a=Lower(Value(alias)))
    exact = rows.filter(s=Lower(Value(sub_alias))).first()
    return exact or (rows.filter(s="").first() if sub_alias else None)


def fit(model: type[models.Model], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts, cut where a column is too short for them: a strange value may not cost the whole case."""
    fitted: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, str):
            if name.endswith("country"):
                value = value.strip().upper()
                if not re.fullmatch(r"[A-Z]{2}", value):
                    continue  # "Danmark" is not a code; the column's own default is better than its first letters
            longest = getattr(model._meta.get_field(name), "max_length", None)
            if longest and len(value) > longest:
                value = value[: longest - 1].rstrip() + "…"
        fitted[name] = value
    return fitted


def _active(**facts: Any) -> list[Customer]:
    return list(Customer.objects.filter(active=True, **facts).order_by("id"))
