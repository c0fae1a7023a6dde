"""Two rows that turn out to be one case: known by its token alone and by its number alone, until an event names both.

All that hangs on the second goes to the first, also what a host site hung on it; a row that both have is kept once,
as if its events had all been the first one's. Then the second row is gone. Nothing is guessed at: where a person chose
different customers, or where a service has two tasks, the office decides (SP-207).
"""

from collections.abc import Callable
from typing import Any

from django.db.models import Model

from scalepoint_integration import errors, signals, workqueue
from scalepoint_integration.handling import lifecycle
from scalepoint_integration.models import (
    Case,
    CaseAttachment,
    CaseMessage,
    CaseNote,
    ImagePull,
    InboundEvent,
    OutboundEvent,
    Payment,
    Reserve,
    Service,
    Settlement,
)
from scalepoint_integration.models.registers import join, newest
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.workqueue import NeedsPerson

# Of two cases that are open the one that asks for more.
# What the office wrote on a case.
_OFFICE = ("responsible", "team", "deadline", "unread", "taken_at", "approved_at", "anonymised_at", "test_kept")
_TEXTS = ("channel", "sender_name", "sender_email", "sender_phone", "sender_type", "sender_role", "subject", "content")


def check(case: Case, other: Case) -> None:
    """Raises NeedsPerson (SP-207) where a person must decide before these two can be one."""
    doubled = any(each.task_id and same and same.task_id for each, same in _pairs(case, other))
    if doubled or (case.customer_id and other.customer_id and case.customer_id != other.customer_id):
        raise NeedsPerson(errors.TWO_CASES_ARE_ONE, first=_called(case), second=_called(other))


def absorb(case: Case, other: Case) -> None:
    """Make one case of two that were checked and are both locked. Saves the first and deletes the second."""
    for each, same in _pairs(case, other):
        if same:
            _join_services(same, each)
    _join_payments(case, other)
    for model, key, join_rows in _KEYED:
        held = {getattr(row, key): row for row in model._base_manager.filter(case=case)}
        for row in model._base_manager.filter(case=other):
            if getattr(row, key) in held:
                join_rows(held[getattr(row, key)], row)
    # Our number for a case is sent once, by this key.
    OutboundEvent.objects.filter(case=other, key=str(other.pk)).exclude(
        kind__in=OutboundEvent.objects.filter(connection=case.connection, key=str(case.pk)).values("kind")
    ).update(key=str(case.pk))
    for relation in Case._meta.related_objects:
        if not relation.many_to_many:
            rows = relation.related_model._base_manager.filter(**{relation.field.name: other})
            rows.update(**{relation.field.name: case})
    _join_rows(case, other)
    gone = other.pk
    Case.history.filter(id=gone).update(id=case.pk)
    other.delete()
    Case.history.filter(id=gone).delete()  # that it is gone: nobody deleted anything
    case.save()
    # What waited for a person to bring the two together.
    waiting = InboundEvent.objects.filter(
        case=case, status=InboundEvent.Status.FAILED, error_code=errors.TWO_CASES_ARE_ONE.code
    )
    workqueue.retry(waiting)


def _called(case: Case) -> str:
    return f"{case} (#{case.pk})"


def _join_rows(case: Case, other: Case) -> None:
    told = ("case_id", "token", "number", "insurer", "origins", "notices", "problem_code", "problem_facts")
    for name in (*told, *_OFFICE):
        setattr(case, name, getattr(case, name) or getattr(other, name))
    case.facts = join(case.facts, other.facts)
    case.flags = [*case.flags, *(flag for flag in other.flags if flag not in case.flags)]
    case.is_test, case.created_at = case.is_test and other.is_test, min(case.created_at, other.created_at)
    if case.customer is None:
        case.customer, case.applied = other.customer, other.applied
    elif other.customer:
        # Both wrote on the one customer: what still stands there is ours.
        stands = {name: text for name, text in other.applied.items() if getattr(case.customer, name, None) == text}
        case.applied = {**other.applied, **case.applied, **stands}
    if case.is_open and other.is_open:
        case.status = max(map(Case.Status, (case.status, other.status)), key=Case.OPEN.index)
    elif case.status == Case.Status.NEW and "holds" not in other.lifecycle:
        case.status = other.status  # closed by hand
    if case.problem_code == errors.TWO_CASES_ARE_ONE.code:
        case.problem_code, case.problem_facts = "", {}
        if case.status == Case.Status.NEEDS_ACTION:
            begun = case.services.exclude(task=None).exists()
            case.status = Case.Status.IN_PROGRESS if begun else Case.Status.NEW
    case.lifecycle = lifecycle.join(case.lifecycle, other.lifecycle)
    if lifecycle.advance(case) is signals.case_closed and other.lifecycle.get("holds") == case.lifecycle["holds"]:
        case.status = other.status  # the closing was acted on there, and what a person chose after it stays


def _pairs(case: Case, other: Case) -> list[tuple[Service, Service | None]]:
    """The services of the other case, each with the one of the case that is the same, as cases.lock_service tells
    them apart."""
    known, found = list(case.services.order_by("pk")), []
    for each in other.services.order_by("pk"):
        same = [one for one in known if each.service_id and one.service_id == each.service_id]
        same += [one for one in known if one.reference == each.reference and _may_be_one(one, each)]
        found.append((each, same[0] if same else None))
        known = [one for one in known if one not in same[:1]]
    return found


def _may_be_one(one: Service, two: Service) -> bool:
    """Whether an equal reference makes them one: it does unless both have an id; and two without any name are one."""
    ids = [each.service_id for each in (one, two) if each.service_id]
    return len(ids) < 2 and bool(one.reference or not ids)


def _join_services(held: Service, row: Service) -> None:
    held.reference, held.facts = held.reference or row.reference, join(held.facts, row.facts)
    if held.task_id is None and (row.task_id or not held.applied):
        held.task_id, held.applied = row.task_id, row.applied
    service_id = held.service_id or row.service_id
    ImagePull.objects.filter(service=row).exclude(key__in=held.pulls.values("key")).update(service=held)
    row.delete()
    held.service_id = service_id
    held.save()


def _join_payments(case: Case, other: Case) -> None:
    """Known by its uuid within the case; the newest statement counts, and its status is ours and stays."""
    held = {row.uuid: row for row in Payment.objects.filter(case=case).exclude(uuid="")}
    for row in Payment.objects.filter(case=other, uuid__in=held):
        old, new = sorted((held[row.uuid], row), key=lambda each: each.said)
        new.status = new.status or old.status
        old.delete()
        new.save(update_fields=["status"])


def _join_messages(held: CaseMessage, row: CaseMessage) -> None:
    """Of each part the fuller one."""
    for name in _TEXTS:
        setattr(held, name, max(getattr(held, name), getattr(row, name), key=lambda text: (len(text), text)))
    files = {strict_json.canonical(file): file for file in (*held.attachments, *row.attachments)}
    held.attachments = sorted(files.values(), key=lambda file: (file["name"], file["type"], file["by"]))
    held.sent_at = max(filter(None, (held.sent_at, row.sent_at)), default=None)
    row.delete()
    held.save()


def _join_attachments(held: CaseAttachment, row: CaseAttachment) -> None:
    """The newest statement holds, at the same time a deletion; the other fills its gaps."""
    old, new = sorted((held, row), key=lambda each: (each.said_at, each.deleted))
    for name in ("link", "file_name", "file_type"):
        setattr(held, name, getattr(new, name) or getattr(old, name))
    held.said_at, held.deleted, held.action = new.said_at, new.deleted, new.action
    row.delete()
    held.save()


def _join_reserves(held: Reserve, row: Reserve) -> None:
    held.take(newest(held.registers, row.registers))
    row.delete()
    held.save()


def _join_settlements(held: Settlement, row: Settlement) -> None:
    """The newest statement of a settlement; payments with a uuid outlive the other."""
    old, new = sorted((held, row), key=lambda each: each.said)
    old.payments.exclude(uuid="").update(settlement=new)
    old.delete()


def _keep_one(held: CaseNote, row: CaseNote) -> None:
    row.delete()


_KEYED: tuple[tuple[type[Model], str, Callable[[Any, Any], None]], ...] = (
    (CaseMessage, "key", _join_messages),
    (CaseAttachment, "guid", _join_attachments),
    (CaseNote, "key", _keep_one),
    (Reserve, "reserve_id", _join_reserves),
    (Settlement, "key", _join_settlements),
)
