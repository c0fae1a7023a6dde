"""Anonymising the person on a case."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from crm.models import Customer, InsuranceCompany
from scalepoint_integration.adapter import get_adapter
from scalepoint_integration.handling import cases, followup
from scalepoint_integration.models import Case, EventAttempt, InboundEvent, OutboundEvent
from scalepoint_integration.office.casework import locked, tasks_of
from scalepoint_integration.payloads.assignment import Address, CaseFacts


def anonymise(case: Case, by: Any) -> None:
    """Take the policyholder off the case, and off what was made of it: the facts that lead to a person, the contacts,
    what was written in messages, the stored content of the events, what stands word for word on the tasks. A customer
    who was made for this case and is used nowhere else is anonymised too.

    What comes later does not bring the person back: cases.tell passes over those facts, and contacts are not added.
    Images, settlements and what the office wrote itself stay."""
    word = _("anonymised")
    adapter = get_adapter()
    with locked(case, by, takes=False) as held:
        if held.anonymised_at:
            return
        person = held.known
        told = _told_of(person)
        held.facts = _without_person(held.facts, person, word)
        held.anonymised_at = timezone.now()
        cases.tell(held, CaseFacts(), held.anonymised_at)  # the words that it is found by
        for name in ("applied", "problem_facts"):
            setattr(held, name, {})
        for service in held.services.select_related("task"):
            if service.task:
                texts = {name: getattr(service.task, name) for name in ("title", "description", *_WORK)}
                adapter.update_task(service.task, _replaced(texts, told, word))
                adapter.remove_contacts(service.task)
            service.applied, service.facts = (_replaced(each, told, word) for each in (service.applied, service.facts))
            service.save(update_fields=["applied", "facts"])
        _empty_what_came(held, word)
        if held.customer and _only_here(held, held.customer):
            adapter.anonymise_customer(held.customer, word)
        followup.apply(held, adapter)  # the notes that messages became


_WORK = ("work_street", "work_street2")


def _told_of(person: CaseFacts) -> list[str]:
    """The texts that lead to the person, the longest first, so that none is left in halves."""
    texts = [person.holder_name, person.holder_phone, person.holder_mobile, person.holder_email, person.policy_number]
    texts += [person.damage_description, person.holder_address.street, person.damage_address.street]
    return sorted({text for text in texts if len(text) > 2}, key=len, reverse=True)


def _without_person(facts: dict[str, Any], person: CaseFacts, word: str) -> dict[str, Any]:
    """The place stays as far as the town: where the work was is no secret, who lives there is."""
    town = Address(street=word, postal_code=person.damage_address.postal_code, city=person.damage_address.city)
    instead = {"holder_name": word, "damage_description": word, "damage_address": asdict(town)}
    kept = {name: held for name, held in facts.items() if name not in cases.PERSONAL}
    return kept | {name: {**facts[name], "value": said} for name, said in instead.items() if name in facts}


def _replaced(value: Any, told: list[str], word: str) -> Any:
    """The same with the word in the place of each of the texts, however deep."""
    if isinstance(value, dict):
        return {name: _replaced(each, told, word) for name, each in value.items()}
    if isinstance(value, str):
        for text in told:
            value = value.replace(text, word)
    return value


def _empty_what_came(case: Case, word: str) -> None:
    done = case.events.exclude(status=InboundEvent.Status.PENDING)
    done.update(body=None, error_facts={}, last_error="")
    EventAttempt.objects.filter(event__case=case).update(error_facts={}, detail="")
    case.messages.update(sender_name=word, sender_email="", sender_phone="", subject="", content=word, attachments=[])
    case.case_notes.update(facts={}, text=word)
    case.outbound.exclude(status=OutboundEvent.Status.PENDING).update(facts={}, content=None, answer="")


def _only_here(case: Case, customer: Customer) -> bool:
    """Made for this case, and used by nothing else."""
    if customer.kind != Customer.Kind.PERSON or customer.created_at < case.created_at:
        return False
    own = {task.pk for task in tasks_of(case)}
    elsewhere = customer.cases.exclude(pk=case.pk).exists() or customer.tasks.exclude(pk__in=own).exists()
    return not elsewhere and not InsuranceCompany.objects.filter(customer=customer).exists()
