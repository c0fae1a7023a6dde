"""What a new case would become, without creating anything."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from crm.models import Customer, InsuranceCompany
from scalepoint_integration import errors
from scalepoint_integration.adapter import Defaults, fitting, get_adapter
from scalepoint_integration.handling import defaults
from scalepoint_integration.handling.assignment import TITLE_LIMIT, name_values
from scalepoint_integration.models import DefaultValues, case_name
from scalepoint_integration.payloads.assignment import CaseFacts, ServiceFacts
from scalepoint_integration.workqueue import NeedsPerson
from tasks.models import Task


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a new case would become. ``customer`` is the one that would be used, None where ``new_customer`` (the texts
    of the one that would be made, ``customer_number`` among them) says so, or where ``problem`` (code and facts)
    stops it. ``chosen`` is None where the problem is the task's."""

    title: str
    cut: bool
    chosen: Defaults | None
    customer: Customer | None
    new_customer: dict[str, str]
    problem: tuple[str, dict[str, Any]] | None


def foresee(
    default_values: DefaultValues, insurer: InsuranceCompany, facts: CaseFacts, ordered: ServiceFacts
) -> Foreseen:
    """What would be made of a case that came now, by default values that need not be saved. Makes nothing:
    what a host's adapter may write is taken back."""
    adapter, rule = get_adapter(), defaults.customer_rule(default_values, insurer)
    customer, new, chosen, problem = None, {}, None, None
    with transaction.atomic():
        try:
            fit = adapter.find_customers(facts, insurer, rule) if insurer.pk else []
            customer = fit[0] if len(fit) == 1 else None
            if len(fit) > 1:
                reason = adapter.customer_number(facts) or facts.policy_number or insurer.name
                problem = (errors.SEVERAL_CUSTOMERS.code, {"reason": reason, "customers": [each.pk for each in fit]})
            elif customer is None:
                by_number = rule.phone_as_customer_number and rule.customer_is != "insurer"
                number = adapter.customer_number(facts) if by_number else ""
                new = {**adapter.customer_facts(facts, insurer, rule), "customer_number": number}
        except NeedsPerson as stopped:
            problem = (stopped.code, stopped.facts)
        try:
            # A customer that is made gets the team and the responsible of the default values.
            chosen = defaults.resolve(default_values, insurer, customer)
        except NeedsPerson as stopped:
            problem = (stopped.code, stopped.facts)
        title, cut = case_name.render(
            default_values.case_name_template, name_values(insurer, facts, ordered), TITLE_LIMIT
        )
        template = chosen.values["task_template"] if chosen else None
        title = fitting(Task, adapter.compose(template, {"title": title, "description": ""}))["title"]
        transaction.set_rollback(True)
    return Foreseen(title, cut, chosen, customer, new, problem)
