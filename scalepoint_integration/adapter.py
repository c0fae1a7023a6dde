"""The seam to crm and tasks, and the only module here that calls their services.

A host that matches or makes customers and tasks its own way subclasses ``Adapter``, overrides a method or two, and
names the class in ``settings.SCALEPOINT["ADAPTER"]``. Every method runs inside the transaction that finishes the
event: the database only, no network. A method may raise ``NeedsPerson`` (ask the office), ``RetryableError`` (later)
or ``PermanentError``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from django.utils.module_loading import import_string

from crm import services as crm
from crm.locks import hold
from crm.models import Customer, CustomerType, InsuranceCompany, SecurityToken
from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.models import Case, DefaultValues
from scalepoint_integration.models.image import Picture
from scalepoint_integration.payloads.assignment import CaseFacts, Party
from scalepoint_integration.workqueue import NeedsPerson
from tasks import services as tasks
from tasks.models import Task, TaskImage, TaskTemplate

# Texts cut to their columns: a text that is too long must not cost a case.
fitting = crm.fit

_ADDRESS = ("street", "street2", "postal_code", "city", "country")


@dataclass(frozen=True, slots=True)
class Defaults:
    """``values`` by field name of the task (None where nobody set one); ``origins`` says for each set value who did:
    "insurer", "connection" or "customer". ``notices`` are codes of the catalogue that the office should see."""

    values: dict[str, Any]
    origins: dict[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CustomerRule:
    customer_is: str
    phone_as_customer_number: bool
    no_phone: str = DefaultValues.NoPhone.ASK  # "ask": a person is asked; "new": always a new customer


class Adapter:
    """Works on the tables of crm and tasks as they are."""

    def find_insurer(self, alias: str, sub_alias: str) -> InsuranceCompany | None:
        return crm.find_insurer(alias, sub_alias) if alias else None

    def find_customers(self, case: CaseFacts, insurer: InsuranceCompany, rule: CustomerRule) -> list[Customer]:
        """The customers that fit. None: one is made. Several: a person is asked. Holds others back from making the
        same customer until this transaction ends. Raises NeedsPerson (SP-204) where the rule needs a phone number,
        the case has none, and the office wants to be asked then."""
        if rule.customer_is == "insurer":
            hold(f"customer of insurer {insurer.pk}")
            return crm.customers_of_insurer(insurer)
        if rule.phone_as_customer_number:
            number = self.customer_number(case)
            if not number and rule.no_phone == DefaultValues.NoPhone.NEW:
                return []
            if not number:
                raise NeedsPerson(errors.NO_PHONE)
            hold(f"customer number {number}")
            return crm.customers_by_number(number)
        if not case.policy_number:
            return []
        hold(f"policy {insurer.pk} {case.policy_number}")
        return crm.customers_by_policy(insurer, case.policy_number)

    def customer_number(self, case: CaseFacts) -> str:
        """The normalised phone number of the policyholder, "" if there is none."""
        return crm.normalise_phone(case.holder_phone) or crm.normalise_phone(case.holder_mobile)

    def customer_facts(self, case: CaseFacts, insurer: InsuranceCompany, rule: CustomerRule) -> dict[str, str]:
        """The fields of the customer that the case knows."""
        if rule.customer_is == "insurer":
            own = ("name", "phone", "mobile", "email", *_ADDRESS, "company_tax_id")
            return {name: getattr(insurer, name) for name in own}
        address = case.holder_address
        return {
            # A customer must be called something; the true name replaces this when it comes.
            "name": case.holder_name or case.number or "?",
            "phone": case.holder_phone,
            "mobile": case.holder_mobile,
            "email": case.holder_email,
            "street": address.street,
            "street2": address.street2,
            "postal_code": address.postal_code,
            "city": address.city,
            "country": address.country,
            "policy_number": case.policy_number,
        }

    def create_customer(
        self,
        case: CaseFacts,
        facts: Mapping[str, str],
        insurer: InsuranceCompany,
        rule: CustomerRule,
        defaults: Defaults,
        customer_type: CustomerType | None,
    ) -> Customer:
        """``facts`` as customer_facts gave them, fitted to the columns."""
        known: dict[str, Any] = {name: value for name, value in facts.items() if value}
        as_insurer = rule.customer_is == "insurer"
        if rule.phone_as_customer_number and not as_insurer:
            known["customer_number"] = self.customer_number(case)
        customer = crm.create_customer(
            kind="company" if as_insurer else "person",
            insurer=insurer,
            customer_type=customer_type,
            team=defaults.values["team"],
            responsible=defaults.values["responsible"],
            **known,
        )
        if as_insurer and insurer.customer_id is None:
            InsuranceCompany.objects.filter(pk=insurer.pk, customer=None).update(customer=customer)
        return customer

    def update_customer(self, customer: Customer, changes: Mapping[str, str]) -> None:
        """Write fields that nobody has edited since we wrote them, and those that were empty."""
        if changes:
            for name, value in changes.items():
                setattr(customer, name, value)
            customer.save(update_fields=list(changes))

    def create_task(
        self, fields: Mapping[str, str], customer: Customer, insurer: InsuranceCompany, defaults: Defaults, today: date
    ) -> Task:
        """``fields`` are texts by field name, fitted to the columns; the rest comes from the defaults."""
        values, texts = dict(defaults.values), dict[str, Any](fields)
        return tasks.create_task(
            template=values.pop("task_template"), customer=customer, insurer=insurer, today=today, **values, **texts
        )

    def compose(self, template: TaskTemplate | None, fields: Mapping[str, str]) -> dict[str, str]:
        """The fields with title and description as they will stand on a task of that template."""
        title, description = tasks.compose(template, fields["title"], fields["description"])
        return {**fields, "title": title, "description": description}

    def update_task(self, task: Task, changes: Mapping[str, Any]) -> None:
        tasks.update_task(task, dict(changes))

    def add_contacts(self, task: Task, contacts: Sequence[Party]) -> None:
        """Add those that are not there yet."""
        tasks.add_contacts(task, {party.key: asdict(party) | asdict(party.address) for party in contacts})

    def case_number(self, case: Case) -> str:
        """Our number for a case that Scalepoint has none for; "" where we give none. The same each time."""
        return f"{case.connection.contract_number}-{case.pk}"

    def add_note(self, task: Task, text: str, source_key: str) -> None:
        """A note of Scalepoint's, one for each source key; told again in other words, it gets those."""
        note = tasks.add_note(task, text, source_key=source_key)
        if note.text != text:
            note.text = text
            note.save(update_fields=["text"])

    def close_task(self, task: Task, reason: str, cancelled: bool) -> None:
        """Scalepoint closed the case and nobody has worked on the task. ``cancelled``: there is no work to do."""
        tasks.close_task(task, reason, cancelled=cancelled)

    def reopen_task(self, task: Task, begun: bool = False) -> None:
        """A task that was closed here is as it was. ``begun``: somebody had worked on it."""
        tasks.reopen_task(task, begun=begun)

    def anonymise_customer(self, customer: Customer, word: str) -> None:
        """The person is taken out of the register: nobody else uses this customer. ``word`` stands for the name."""
        customer.contacts.all().delete()
        gone = dict.fromkeys(("phone", "mobile", "email", "street", "street2", "customer_number", "notes"), "")
        self.update_customer(customer, {**gone, "policy_number": "", "name": word})

    def remove_contacts(self, task: Task) -> None:
        """Those that came from Scalepoint."""
        task.contacts.exclude(source_key="").delete()

    def attach_image(self, task: Task, name: str, content: bytes, picture: Picture) -> TaskImage:
        return tasks.attach_image(
            task,
            name=name,
            content=content,
            content_type=picture.content_type,
            width=picture.width,
            height=picture.height,
            sha256=picture.sha256,
            thumbnail=picture.thumbnail,
        )


def security_token(insurer: InsuranceCompany, now: datetime) -> str:
    """The newest token of the company that is live, in the clear; "" if there is none."""
    live = SecurityToken.objects.live(now).filter(company=insurer)
    token = live.order_by("-valid_from", "-pk").first()
    return str(token.token) if token else ""


def remove_tasks(gone: Iterable[Task]) -> None:
    """Delete tasks with their images and the files of those."""
    for task in gone:
        tasks.remove_images(task.images.all())
        task.delete()


def prune(today: date) -> None:
    """Remove stored files that no row shows any more."""
    tasks.prune_files(today)


def get_adapter() -> Adapter:
    """The adapter that the settings name."""
    made: Adapter = _load(conf().adapter)()
    return made


@lru_cache(maxsize=8)
def _load(path: str) -> Any:
    return import_string(path)
