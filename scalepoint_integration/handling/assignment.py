"""``repair_service_requested`` and ``repair_updated``: a service ordered on a case becomes a customer and a task.

Both are snapshots of the same things, and either may come first; so they are handled alike. Where new cases wait in
the inbox, nothing is made until a person has said so (``Case.approved_at``) and the event is run again.
"""

from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from crm.models import Customer, InsuranceCompany
from scalepoint_integration import errors, events, queues, signals
from scalepoint_integration.adapter import Adapter, fitting, get_adapter
from scalepoint_integration.fetching import images
from scalepoint_integration.handling import cases, defaults, followup, lifecycle
from scalepoint_integration.handling.common import NAMES
from scalepoint_integration.models import Case, DefaultValues, InboundEvent, Service, case_name, registers
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.assignment import Assignment, CaseFacts, ServiceFacts, parse
from scalepoint_integration.sending import notifications
from scalepoint_integration.workqueue import NeedsPerson, retry
from scalepoint_integration.workqueue.doorbell import ring
from tasks.models import Task

TITLE_LIMIT = 200
ADDRESS = ("street", "street2", "postal_code", "city", "country")


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    said = parse(payload)
    adapter = get_adapter()
    insurer = _insurer(event, said, adapter)
    names = cases.Names(said.case_id, said.token, said.case.number, insurer.pk if insurer else None)
    case = cases.enter(event, names, insurer)
    service = cases.lock_service(case, said.service_id, said.service.reference)
    new, at = service.pk is None, event.occurred_at or event.received_at
    cases.tell(case, said.case, at)
    service.facts = registers.merge(service.facts, said.service, at)
    late = registers.older(case.facts, said.case, at) + registers.older(service.facts, said.service, at)
    cases.notice(event, errors.OUTDATED.code if late and all(late) else "")
    try:
        with transaction.atomic():  # all of the task or nothing of it
            made = _work(case, service, said, adapter, now)
    except NeedsPerson as problem:
        # What is known is kept, so that the office sees the case; of what was tried, nothing.
        case.unread = case.unread or case.problem_code != problem.code
        case.problem_code, case.problem_facts = problem.code, problem.facts
        if not lifecycle.closing(case.lifecycle):
            case.status = Case.Status.NEEDS_ACTION
        case.save(
            update_fields=[
                *(*NAMES, "facts", "search_text", "status", "problem_code", "problem_facts", "unread", "updated_at")
            ]
        )
        if new:
            Service.objects.create(
                case=case, service_id=service.service_id, reference=service.reference, facts=service.facts
            )
        else:
            service.save(update_fields=["service_id", "reference", "facts"])
        raise
    if made:
        notifications.about_case(case)
    signals.announce(signals.case_created if made else signals.case_updated, case)


def _insurer(event: InboundEvent, said: Assignment, adapter: Adapter) -> InsuranceCompany | None:
    """Whose case it is. The security token decides; an alias that points elsewhere stops everything (SP-110)."""
    alias, sub_alias = said.case.insurer_alias, said.case.insurer_sub_alias
    named = adapter.find_insurer(alias, sub_alias)
    proven = event.insurer
    if proven is None or named == proven or not alias:
        return proven or named
    same = alias.casefold() == proven.alias.casefold()
    if named is None and same and (not sub_alias or not proven.sub_alias):
        return proven
    raise NeedsPerson(errors.OTHER_COMPANY)


def _work(case: Case, service: Service, said: Assignment, adapter: Adapter, now: datetime) -> bool:
    """Make or update customer and task from all that is known. Returns whether the task was made."""
    facts = case.known
    ordered = registers.read(service.facts, ServiceFacts)
    if case.insurer is None:
        raise NeedsPerson(
            errors.UNKNOWN_COMPANY, alias=" / ".join(filter(None, (facts.insurer_alias, facts.insurer_sub_alias)))
        )
    if not case.insurer.active:
        raise NeedsPerson(errors.COMPANY_INACTIVE, company=case.insurer.name)
    if _waits(case, service):
        _put_in_inbox(case, service, adapter)
        return False
    customer = _customer(case, case.insurer, facts, adapter)
    default_values = case.connection.default_values
    chosen = defaults.resolve(default_values, case.insurer, customer)
    task, made = service.task, False
    if task is None and service.applied:
        # There was a task and somebody deleted it, on purpose: an update does not bring it back.
        service.save()
        case.save()
        return False
    names = name_values(case.insurer, facts, ordered)
    title, cut = case_name.render(default_values.case_name_template, names, TITLE_LIMIT)
    template = task.template if task else chosen.values["task_template"]
    texts = _task_fields(facts, ordered, service, customer) | {"title": title}
    wanted = fitting(Task, adapter.compose(template, texts))
    if task is None:
        task = adapter.create_task(wanted, customer, case.insurer, chosen, timezone.localdate(now))
        service.task, service.applied, made = task, cases.remember(task, {}, wanted), True
        case.origins = chosen.origins
        # Who answers for the case is who got its first task, until somebody says otherwise.
        case.responsible, case.team = case.responsible or task.responsible, case.team or task.team
        case.deadline = case.deadline or task.deadline
    else:
        changes = cases.untouched(task, wanted, service.applied)
        adapter.update_task(task, changes)
        service.applied = cases.remember(task, service.applied, changes)
    if not case.anonymised_at:
        adapter.add_contacts(task, said.contacts)
    service.save()
    case.notices = [*chosen.notices, *([errors.CASE_NAME_CUT.code] if cut else [])]
    if case.problem_code:
        case.problem_code, case.problem_facts = "", {}
        _unpark(case)
    if case.status in (Case.Status.NEW, Case.Status.NEEDS_ACTION):
        case.status = Case.Status.IN_PROGRESS
    case.save()
    images.request(service, said.images)
    if made and case.approved_at:
        _catch_up(case, service, task, adapter)
    followup.apply(case, adapter)
    return made


def _waits(case: Case, service: Service) -> bool:
    """Whether a person is to look at the case before anything is made of it. A case that is worked on is past that:
    a further service on it would wait where nobody looks."""
    if case.connection.default_values.new_cases != DefaultValues.NewCases.INBOX or case.approved_at or service.applied:
        return False
    return not any(each.task_id or each.applied for each in case.services.all())


def _put_in_inbox(case: Case, service: Service, adapter: Adapter) -> None:
    """The case with all that is known of it, and nothing made: neither customer nor task."""
    service.save()
    if case.problem_code:
        case.problem_code, case.problem_facts = "", {}
        _unpark(case)
    if case.status == Case.Status.NEEDS_ACTION:
        case.status = Case.Status.NEW
    case.save()
    notifications.about_case(case)
    followup.apply(case, adapter)


def _catch_up(case: Case, service: Service, task: Task, adapter: Adapter) -> None:
    """What earlier events of the service brought while it waited in the inbox, and no later one repeats: pictures and
    contacts. They were read when they came and are read again here, because until there is a task they have no place.
    What is there already is not doubled: both have keys."""
    rows = InboundEvent.objects.filter(
        case=case, event_type__in=events.MAKE_TASKS, status=InboundEvent.Status.DONE, replay_of=None
    ).exclude(body=None)
    for event in rows.only("body").order_by("pk"):
        said = parse(strict_json.parse(event.content() or b"null"))
        if _speaks_of(said, service):
            adapter.add_contacts(task, said.contacts)
            images.request(service, said.images)


def _speaks_of(said: Assignment, service: Service) -> bool:
    if said.service_id and service.service_id:
        return said.service_id == service.service_id
    return said.service.reference == service.reference


def _customer(case: Case, insurer: InsuranceCompany, facts: CaseFacts, adapter: Adapter) -> Customer:
    """The customer of the case: chosen before or by a person, else the one that fits, else a new one."""
    rule = defaults.customer_rule(case.connection.default_values, insurer)
    customer = case.customer
    if customer is None:
        fit = adapter.find_customers(facts, insurer, rule)
        if len(fit) > 1:
            reason = adapter.customer_number(facts) or facts.policy_number or insurer.name
            raise NeedsPerson(errors.SEVERAL_CUSTOMERS, reason=reason, customers=[each.pk for each in fit])
        customer = fit[0] if fit else None
    if customer is None:
        customer = make_customer(case, insurer, facts, adapter)
    else:
        wanted = fitting(Customer, adapter.customer_facts(facts, insurer, rule))
        changes = cases.untouched(customer, wanted, case.applied)
        if _address_of(customer) and not any(case.applied.get(name) for name in ADDRESS):
            # Filling the gaps of one address from another would invent a third.
            changes = {name: value for name, value in changes.items() if name not in ADDRESS}
        adapter.update_customer(customer, changes)
        case.applied = cases.remember(customer, case.applied, changes)
    case.customer = customer
    return customer


def make_customer(case: Case, insurer: InsuranceCompany, facts: CaseFacts, adapter: Adapter) -> Customer:
    """A new customer for the case, whoever else fits. Raises NeedsPerson (SP-201)."""
    default_values = case.connection.default_values
    rule = defaults.customer_rule(default_values, insurer)
    wanted = fitting(Customer, adapter.customer_facts(facts, insurer, rule))
    chosen = defaults.resolve(default_values, insurer)
    customer = adapter.create_customer(facts, wanted, insurer, rule, chosen, default_values.customer_type)
    case.applied = cases.remember(customer, {}, wanted)
    return customer


def _task_fields(facts: CaseFacts, ordered: ServiceFacts, service: Service, customer: Customer) -> dict[str, str]:
    """The texts of the task that follow from what Scalepoint told."""
    place = facts.place
    elsewhere = place and _normal(place.street, place.postal_code, place.city) != _address_of(customer)
    damage = [facts.damage_description, ordered.description, facts.url]
    return {
        "description": "\n\n".join(dict.fromkeys(part for part in damage if part)),
        "requisition_number": facts.number,
        "scalepoint_id": service.service_id or service.reference or service.case.case_id or service.case.token,
        "scalepoint_url": facts.url,
        "responsibility": facts.responsibility,
        "damage_type": facts.damage,
        # Only where it is not the customer's own address.
        "work_street": place.street if elsewhere else "",
        "work_street2": place.street2 if elsewhere else "",
        "work_postal_code": place.postal_code if elsewhere else "",
        "work_city": place.city if elsewhere else "",
    }


def name_values(insurer: InsuranceCompany, facts: CaseFacts, ordered: ServiceFacts) -> dict[str, str]:
    """The values of the merge fields (case_name.FIELDS)."""
    place = facts.place
    return {
        "case_number": facts.number,
        "policy_number": facts.policy_number,
        "policyholder": facts.holder_name,
        "address": place.street,
        "city": place.city,
        "damage_type": facts.damage,
        "insurer": insurer.name,
        "service_reference": ordered.reference,
    }


def _address_of(customer: Customer) -> str:
    return _normal(customer.street, customer.postal_code, customer.city)


def _normal(*parts: str) -> str:
    return " ".join(" ".join(parts).casefold().split())


def _unpark(case: Case) -> None:
    """The case works now: what waited for a person on it is tried again."""
    parked = InboundEvent.objects.filter(case=case, status=InboundEvent.Status.FAILED, error_code__in=errors.WAITING)
    if retry(parked):
        transaction.on_commit(partial(ring, queues.EVENTS), robust=True)
