"""Which default wins, and where it came from.

The order is E-Komplet's: what the insurance company has of its own, else the connection's, else the customer's. Where
the default values say that the customer wins, those two change places; the insurance company stays first.
"""

from typing import Any

from scalepoint_integration import errors
from scalepoint_integration.adapter import CustomerRule, Defaults
from scalepoint_integration.models import DefaultValues
from scalepoint_integration.models.default_values import DIMENSIONS
from scalepoint_integration.workqueue import NeedsPerson

INSURER, CONNECTION, CUSTOMER = "insurer", "connection", "customer"


def customer_rule(default_values: DefaultValues, insurer: Any) -> CustomerRule:
    """Who the customer is on a case of this insurance company."""
    own_phone = insurer.phone_as_customer_number if insurer else None
    return CustomerRule(
        customer_is=(insurer.customer_is if insurer else "") or default_values.customer_is,
        phone_as_customer_number=default_values.phone_as_customer_number if own_phone is None else own_phone,
        no_phone=default_values.no_phone,
    )


def resolve(default_values: DefaultValues, insurer: Any, customer: Any = None) -> Defaults:
    """Team, responsible, task template and dimensions for a new task. Raises NeedsPerson (SP-201) where the template
    that should be used is switched off: silently using another would make the wrong task.

    A responsible user who has left is passed over for the next one in line, with notice SP-202.
    """
    sources = [(INSURER, insurer), *_by_rank(default_values, customer)]
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    notices: list[str] = []
    for name in ("team", "responsible", "task_template", *DIMENSIONS):
        values[name] = None
        for origin, source in sources:
            value = getattr(source, name, None)
            if value is None:
                continue
            if name == "responsible" and not value.is_active:
                notices.append(errors.RESPONSIBLE_INACTIVE.code)
                continue
            if name == "task_template" and not value.active:
                raise NeedsPerson(errors.TEMPLATE_INACTIVE, template=value.name)
            values[name], origins[name] = value, origin
            break
    template = values["task_template"]
    for name in ("team", "responsible"):
        # A template that brings its own is asked last: it is chosen by somebody above anyway.
        value = getattr(template, name, None)
        if values[name] is None and value is not None and getattr(value, "is_active", True):
            values[name], origins[name] = value, "task_template"
    return Defaults(values, origins, tuple(dict.fromkeys(notices)))


def _by_rank(default_values: DefaultValues, customer: Any) -> list[tuple[str, Any]]:
    ranked = [(CONNECTION, default_values), (CUSTOMER, customer)]
    return ranked[::-1] if default_values.winner == DefaultValues.Winner.CUSTOMER else ranked
