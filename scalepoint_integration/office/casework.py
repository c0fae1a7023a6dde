"""What a person in the office does on a case.

Each function locks the case anew, saves it with the history of who did it, and may be called twice: what was done is
not done again. The case that the caller holds is not changed; read it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.models import Customer, InsuranceCompany
from scalepoint_integration import errors, events, queues, workqueue
from scalepoint_integration.adapter import get_adapter
from scalepoint_integration.handling import assignment, cases, followup, lifecycle, run
from scalepoint_integration.models import (
    Case,
    ImagePull,
    InboundEvent,
    OfficeNote,
    OutboundEvent,
    Payment,
    Service,
    UserSettings,
)
from scalepoint_integration.sending import outbox
from scalepoint_integration.workqueue import NeedsPerson
from scalepoint_integration.workqueue.doorbell import ring
from tasks.models import Task

# "Leave it as it is", where None would mean "nobody".
KEEP: Any = object()
_MOST = 100
_TWICE = timedelta(minutes=1)
_REASON = 100  # what the history holds of one


class NotPossible(Exception):
    """Why it can't be done, in the reader's language."""


@contextmanager
def locked(case: Case, by: Any, *, takes: bool = True, because: str = "") -> Iterator[Case]:
    """The locked case; saved at the end. ``takes``: the person has begun to work on it by this. ``because`` stands in
    the history."""
    with transaction.atomic():
        held = Case.objects.select_for_update().get(pk=case.pk)
        held._history_user = by  # type: ignore[attr-defined]
        yield held
        if takes:
            held.taken_at = held.taken_at or timezone.now()
        held._change_reason = because  # type: ignore[attr-defined]
        held.save()


# ---- Whose it is --------------------------------------------------------------------------------------------------
def assign(case: Case, by: Any, *, responsible: Any = KEEP, team: Any = KEEP) -> None:
    """Also on the case's open tasks, where they had the case's former ones."""
    wished = {name: row for name, row in (("responsible", responsible), ("team", team)) if row is not KEEP}
    with locked(case, by) as held:
        for name, row in wished.items():
            _pass_on(held, name, row)


def take(case: Case, by: Any) -> None:
    assign(case, by, responsible=by)


def mark(chosen: "QuerySet[Case]", *, unread: bool) -> int:
    """Read or unread; returns how many were not so before. No history: it says nothing of the case itself."""
    return chosen.exclude(unread=unread).update(unread=unread)


def set_deadline(case: Case, by: Any, deadline: date | None) -> None:
    with locked(case, by) as held:
        _pass_on(held, "deadline", deadline)


def _pass_on(held: Case, name: str, value: Any) -> None:
    """Give the field a value on the case, and on its open tasks that had the case's former one."""
    former = getattr(held, name)
    setattr(held, name, value)
    for task in tasks_of(held):
        if task.is_open and getattr(task, name) == former:
            get_adapter().update_task(task, {name: value})


def tasks_of(case: Case) -> list[Task]:
    return list(Task.objects.filter(scalepoint_service__case=case).order_by("pk"))


# ---- What the machine asked ---------------------------------------------------------------------------------------
def choose_customer(case: Case, by: Any, customer: Customer | None) -> None:
    """None makes a new customer, whoever else fits; a case that has one by now keeps it. Then what waited is run.

    Raises NeedsPerson (SP-111, SP-201) where none can be made yet."""
    with locked(case, by) as held:
        if customer is not None and customer.pk != held.customer_id:
            _pass_on(held, "customer", customer)
            held.applied = {}  # what we wrote on the former one
        elif customer is None and held.customer is None:
            facts = held.known
            if held.insurer is None:
                raise NeedsPerson(errors.UNKNOWN_COMPANY, alias=facts.insurer_alias)
            held.customer = assignment.make_customer(held, held.insurer, facts, get_adapter())
    _run_waiting(case, by)


def choose_insurer(case: Case, by: Any, insurer: InsuranceCompany) -> None:
    """Then what waited is run. Raises NotPossible where the company has a case of that number already."""
    try:
        with locked(case, by) as held:
            _pass_on(held, "insurer", insurer)
    except IntegrityError:
        raise NotPossible(_("%(company)s has another case with this number.") % {"company": insurer}) from None
    _run_waiting(case, by)


def make_task(case: Case, by: Any) -> list[Task]:
    """Let the task of each ordered service be made that has none, also where somebody deleted it. Returns the tasks
    that there are now. Raises NotPossible where what Scalepoint sent is not kept any more."""
    with locked(case, by) as held:
        held.approved_at = held.approved_at or timezone.now()
        without = list(held.services.filter(task=None))
        for service in without:
            _begin_anew(service)
    for event in _orders(case, without):
        _run_again(event, by)
    return tasks_of(case)


def link_task(service: Service, by: Any, task: Task) -> None:
    """The service becomes this task. What Scalepoint told comes to it without touching what somebody typed there: its
    facts, contacts and images. A case without a customer gets the task's. Raises NotPossible where the task belongs to
    another service."""
    case = service.case
    with locked(case, by) as held:
        if Service.objects.filter(task=task).exclude(pk=service.pk).exists():
            raise NotPossible(_("The task is already linked to another case."))
        own = held.services.get(pk=service.pk)
        if own.task_id != task.pk:
            _begin_anew(own)
            own.task = task
            own.save(update_fields=["task"])
        held.approved_at = held.approved_at or timezone.now()
        if held.customer is None:
            held.customer = task.customer
        if held.status in (Case.Status.NEW, Case.Status.NEEDS_ACTION):
            held.status, held.problem_code, held.problem_facts = Case.Status.IN_PROGRESS, "", {}
    for event in _orders(case, [service]):
        _run_again(event, by)
    _run_waiting(case, by)
    with locked(case, by) as held:
        filled = {name: getattr(held, name) for name in ("customer", "insurer") if getattr(task, name) is None}
        get_adapter().update_task(task, filled)
        followup.apply(held, get_adapter())


def retry(case: Case, by: Any) -> int:
    """Try the failed events of the case again, now. Returns how many."""
    with locked(case, by):
        pass
    return _again(InboundEvent.objects.filter(case=case, status=InboundEvent.Status.FAILED), by)


def fetch_images(chosen: "QuerySet[Case]") -> int:
    """Ask again for the images that could not be fetched. Returns how many."""
    count = workqueue.retry(ImagePull.objects.filter(service__case__in=chosen, status=ImagePull.Status.FAILED))
    ring(queues.IMAGES)
    return count


def _begin_anew(service: Service) -> None:
    """Another task is to be filled than the one we wrote on; the images are asked for anew when the event is run."""
    service.applied = {}
    service.save(update_fields=["applied"])
    service.pulls.filter(status=ImagePull.Status.DONE).delete()


def _orders(case: Case, services: list[Service]) -> list[InboundEvent]:
    """The newest event that ordered each of the services. Where a service is known by its id alone, all that name no
    reference."""
    wanted = {service.reference for service in services}
    if not wanted:
        return []
    rows = InboundEvent.objects.filter(case=case, event_type__in=events.MAKE_TASKS, replay_of=None).defer("body")
    newest: dict[Any, InboundEvent] = {}
    for event in reversed(rows.order_by("-pk")[:_MOST]):
        if not event.service_reference or event.service_reference in wanted:
            newest[event.service_reference or event.pk] = event
    return list(newest.values())


def _run_again(event: InboundEvent, by: Any) -> None:
    if event.status == InboundEvent.Status.DONE:
        try:
            run.replay_now(event)
        except run.NotReplayable as error:
            raise NotPossible(str(error)) from error
    else:
        _again(InboundEvent.objects.filter(pk=event.pk), by)


def _run_waiting(case: Case, by: Any) -> int:
    waiting = InboundEvent.objects.filter(case=case, status=InboundEvent.Status.FAILED)
    return _again(waiting.filter(error_code__in=errors.WAITING), by)


def _again(events: "QuerySet[InboundEvent]", by: Any) -> int:
    oldest = events.order_by("pk").values_list("pk", flat=True)[:_MOST]
    return run.retry_now(InboundEvent.objects.filter(pk__in=list(oldest)), by)


# ---- An event that names no case ----------------------------------------------------------------------------------
def link_event(event: InboundEvent, by: Any, case: Case) -> bool:
    """Link an event that failed because it names no case (SP-105), and retry it. Returns False for any other event: it
    names its case itself."""
    nameless = InboundEvent.objects.filter(
        pk=event.pk, status=InboundEvent.Status.FAILED, error_code=errors.NO_CASE_NUMBER.code
    )
    with transaction.atomic():
        linked = nameless.update(case=case)
        return bool(run.retry(nameless, by)) if linked else False


def create_case(event: InboundEvent, by: Any) -> Case | None:
    """Create the case of an event that names none (SP-105), link the event to it and retry it. Returns None for any
    other event."""
    # A case must have some name; this one is nobody's at Scalepoint.
    name = f"event-{event.pk}"
    with transaction.atomic():
        new = Case(
            connection=event.connection,
            insurer=event.insurer,
            case_id=name,
            is_test=event.source == event.Source.TEST,
        )
        Case.objects.bulk_create([new], ignore_conflicts=True)
        case = Case.objects.get(connection=event.connection, case_id=name)
        if link_event(event, by, case):
            return case
        transaction.set_rollback(True)
    return None


# ---- The end of a case --------------------------------------------------------------------------------------------
def close(case: Case, by: Any, reason: str) -> None:
    """Its open tasks too, for the same reason (up to 100 characters of it)."""
    reason = reason.strip()[:_REASON]
    with locked(case, by, because=reason) as held:
        held.status = Case.Status.CLOSED
        held.flags = [flag for flag in held.flags if flag["code"] != errors.TASK_IN_PROGRESS.code]
        for task in tasks_of(held):
            get_adapter().close_task(task, reason, cancelled=False)


def reopen(case: Case, by: Any) -> None:
    """Also the tasks that were closed with it; one that was closed before, for a reason of its own, stays closed."""
    last = case.history.filter(status=Case.Status.CLOSED).order_by("-history_id").first()
    reason = (last.history_change_reason or "") if last else ""
    with locked(case, by) as held:
        tasks = tasks_of(held)
        held.status = Case.Status.IN_PROGRESS if tasks else Case.Status.NEW
        if held.problem_code:
            held.status = Case.Status.NEEDS_ACTION
        for task in tasks:
            if reason and task.status in Task.ENDED and task.closed_reason == reason:
                get_adapter().reopen_task(task, begun=True)


def decide(case: Case, by: Any, *, close_tasks: bool) -> None:
    """Scalepoint closed the case while somebody worked on the task (SP-206): close the tasks, or keep them open."""
    with locked(case, by) as held:
        if close_tasks:
            closed = held.lifecycle.get("closed") or {}
            for task in tasks_of(held):
                reason = lifecycle.in_words(closed)
                get_adapter().close_task(task, reason, cancelled=bool(closed.get("terminated")))
        followup.keep_open(held)


def mark_test(case: Case, by: Any, is_test: bool) -> None:
    """What comes for it later does not change it back (cases.enter)."""
    with locked(case, by, takes=False, because=cases.MARKED[is_test]) as held:
        held.is_test = is_test


# ---- What is said -------------------------------------------------------------------------------------------------
def add_note(case: Case, by: Any, text: str, *, share: bool = False) -> OfficeNote:
    """``share`` sends it to Scalepoint as a message of the writer's. The same text by the same person within a minute
    is one note: a button that was pressed twice. Raises NotPossible, and writes nothing, where sharing can't be."""
    text = text.strip()
    with locked(case, by) as held:
        same = held.office_notes.filter(author=by, text=text, created_at__gt=timezone.now() - _TWICE)
        note = same.order_by("-pk").first() or OfficeNote(case=held, author=by, text=text)
        if share and note.sending is None:
            note.sending = _share(held, by, text)
        note.save()
    return note


def tell_payment(case: Case, by: Any, payment: Payment, status: str) -> OutboundEvent:
    """Tell Scalepoint that a payment was processed or cancelled (outbox.PAYMENT_STATUSES). Raises NotPossible."""
    with locked(case, by) as held:
        sending = outbox.send_payment_status(held, payment.uuid, status, by)
        if sending is None:
            raise NotPossible(_("Sending payment status to Scalepoint is turned off on the connection."))
        Payment.objects.filter(pk=payment.pk, case=held).update(status=status)
    return sending


def invoice(case: Case, *, number: str, date: date, due: date, title: str, amount: Decimal) -> dict[str, Any]:
    """An invoice of one line in Scalepoint's shape. Inferred: the name of the amount; the page breaks off before it."""
    return {
        "number": number,
        "date": _noon(date),
        "dueDate": _noon(due),
        "expenseType": "Invoice",
        "invoiceType": "ExternalSupplier",
        "isDraft": False,
        "issuer": {"name": case.connection.company_name},
        "payer": {"name": case.insurer.name if case.insurer else ""},
        "items": [{"title": title, "amount": amount}],
    }


def _noon(day: date) -> datetime:
    """A day as a moment that is the same day in every country near."""
    return datetime.combine(day, time(12), tzinfo=UTC)


def send_invoice(case: Case, by: Any, expense: dict[str, Any]) -> OutboundEvent:
    """Raises NotPossible; NeedsPerson (SP-413) where something is missing."""
    with locked(case, by) as held:
        sending = outbox.send_expense(held, expense, by)
        if sending is None:
            raise NotPossible(_("Sending invoices to Scalepoint is turned off on the connection."))
    return sending


def _share(case: Case, by: Any, text: str) -> OutboundEvent:
    if not UserSettings.name_at_scalepoint(by):  # it travels with the message (outbox.bodies)
        raise NotPossible(_("You have no Scalepoint user name yet. Enter it in your own settings, then retry."))
    sending = outbox.send_message(case, "", text, by)
    if sending is None:
        raise NotPossible(
            _("Sending messages to Scalepoint is turned off on the connection. An administrator can turn it on.")
        )
    return sending
