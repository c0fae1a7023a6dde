"""What leaves the house: written in the transaction of its cause, sent later, each wish once.

>>> send_message(case, "Besigtigelse", "Vi kommer på tirsdag.", user)      # a row, or None where it is not switched on

Nothing leaves unless its switch on the connection is on: looked at when it is written, and again when it is sent, so
that switching off holds back what waits. What is said about a case leaves in the order it was written; another case is
not held up. Delivery is at least once: where the outcome of a call is unknown it is repeated, an event with the same
correlation id. bodies.py knows what is said, client.py how it gets there.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from scalepoint_integration import adapter, client, errors, queues, workqueue
from scalepoint_integration.conf import conf
from scalepoint_integration.models import Case, Connection, OutboundEvent
from scalepoint_integration.sending.bodies import body, check_expense, event_type, plain, shown
from scalepoint_integration.workqueue import LeaseLost, NeedsPerson, PermanentError
from scalepoint_integration.workqueue.doorbell import ring

__all__ = ["body", "request", "send", "shown"]

logger = logging.getLogger(__name__)

Kind = OutboundEvent.Kind
# The switch on the connection that lets a kind out.
SWITCHES = {
    Kind.CASE_NUMBER: "send_case_number",
    Kind.CASE_NUMBER_FAILED: "send_case_number",
    Kind.MESSAGE: "send_messages",
    Kind.PAYMENT_STATUS: "send_payment_status",
    Kind.FILE: "send_files",
    Kind.EXPENSE: "send_invoices",
}
PAYMENT_STATUSES = ("processed", "cancelled")
_KEPT_ANSWER = 2000


# ---- What callers wish --------------------------------------------------------------------------------------------
def answer_case_created(case: Case) -> OutboundEvent | None:
    """Scalepoint made a case: give it our number, if it has none and we give one (Adapter.case_number)."""
    return None if case.number or not case.token else send_case_number(case)


def send_case_number(case: Case, user: Any = None) -> OutboundEvent | None:
    number = adapter.get_adapter().case_number(case)
    facts = {"number": number}
    return request(case.connection, case, Kind.CASE_NUMBER, str(case.pk), facts, user=user) if number else None


def send_case_number_failed(case: Case, text: str, user: Any = None) -> OutboundEvent | None:
    """We can't give a number. Never done by itself: Scalepoint closes the case, and shows the text."""
    return request(case.connection, case, Kind.CASE_NUMBER_FAILED, str(case.pk), {"text": text}, user=user)


def send_message(case: Case, subject: str, text: str, user: Any = None, key: str = "") -> OutboundEvent | None:
    """``key`` is the form's own, at most 64 characters: pressed twice is sent once. Without it each call is a
    message."""
    facts = {"subject": subject, "text": text}
    return request(case.connection, case, Kind.MESSAGE, key or uuid4().hex, facts, user=user)


def send_payment_status(case: Case, payment_uuid: Any, status: str, user: Any = None) -> OutboundEvent | None:
    """``status`` is one of PAYMENT_STATUSES; each is told once per payment."""
    if status not in PAYMENT_STATUSES:
        raise ValueError(f"{status!r} is none of {PAYMENT_STATUSES}")
    facts = {"uuid": str(payment_uuid), "status": status}
    return request(case.connection, case, Kind.PAYMENT_STATUS, _digest(payment_uuid, status), facts, user=user)


def send_file(case: Case, name: str, content: bytes, file_type: str, user: Any) -> OutboundEvent | None:
    """The same file of the same case is sent once. It is sent in the name of the user, whom Scalepoint must know by
    e-mail. Raises PermanentError (SP-414) where it is too large."""
    if len(content) > conf().file_max_bytes:
        raise PermanentError(errors.FILE_TOO_LARGE, size=len(content))
    sha256 = hashlib.sha256(content).hexdigest()
    facts = {"name": name, "type": file_type, "size": len(content), "sha256": sha256}
    return request(case.connection, case, Kind.FILE, _digest(case.pk, name, sha256), facts, content, user)


def send_expense(case: Case, expense: Mapping[str, Any], user: Any = None) -> OutboundEvent | None:
    """An invoice in Scalepoint's shape; amounts may be Decimal, times datetime. An invoice number is sent once per
    case. Raises NeedsPerson (SP-413) where a field is missing."""
    check_expense(expense)
    facts = {"expense": plain(expense)}
    return request(case.connection, case, Kind.EXPENSE, _digest(case.pk, expense["number"]), facts, user=user)


def request(
    connection: Connection,
    case: Case | None,
    kind: str,
    key: str,
    facts: Mapping[str, Any],
    content: bytes | None = None,
    user: Any = None,
) -> OutboundEvent | None:
    """Write down what should leave, in the caller's transaction; None where its switch is off, and for a test case.

    The same (connection, kind, key) is one sending. One that failed takes the new facts and is due again: who asks a
    second time has put something right.
    """
    if not getattr(connection, SWITCHES[Kind(kind)]) or (case and case.is_test):
        return None
    said: dict[str, Any] = {"facts": dict(facts), "content": content, "created_by": user}
    with transaction.atomic():
        row = OutboundEvent(connection=connection, case=case, kind=kind, key=key, **said)
        # Somebody may be writing the same: their row makes ours a no-op, after waiting for their commit.
        OutboundEvent.objects.bulk_create([row], ignore_conflicts=True)
        same = OutboundEvent.objects.filter(connection=connection, kind=kind, key=key)
        failed = same.filter(status=OutboundEvent.Status.FAILED)
        if failed.update(**said):
            workqueue.retry(failed)
        transaction.on_commit(partial(ring, queues.OUTBOUND), robust=True)
        return same.defer("content").get()


def _digest(*parts: Any) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


# ---- The queue ----------------------------------------------------------------------------------------------------
def retry(rows: "QuerySet[OutboundEvent]") -> int:
    """Resend failed events whose content is still stored. Returns how many."""
    count = workqueue.retry(rows.exclude(facts={}))
    ring(queues.OUTBOUND)
    return count


def sendable() -> "QuerySet[OutboundEvent]":
    """What may leave: switched on, and nothing older about the same case waits."""
    older = OutboundEvent.objects.filter(
        switched_on(), status=OutboundEvent.Status.PENDING, case=OuterRef("case"), pk__lt=OuterRef("pk")
    )
    return OutboundEvent.objects.filter(~Exists(older), switched_on())


def switched_on() -> Q:
    kinds = Q()
    for kind, switch in SWITCHES.items():
        kinds |= Q(("kind", kind), (f"connection__{switch}", True))
    return kinds & Q(connection__switch=Connection.Switch.ON)


def send(items: Sequence[OutboundEvent]) -> None:
    """Send claimed rows, one after another."""
    for item in items:
        _send(item)


def _send(item: OutboundEvent) -> None:
    """Call Scalepoint for a claimed row outside any transaction, then finish in one."""
    try:
        now = timezone.now()
        said = body(item, now, _security_token(item, now))
        answer = _call(item, said)
        with workqueue.finish(item):
            # What left is kept as it was; the file itself is not kept twice.
            facts = {**item.facts, "sent": shown(item, said)}
            text = f"{answer.status} {answer.text}".replace("\x00", "")[:_KEPT_ANSWER]
            OutboundEvent.objects.filter(pk=item.pk).update(answer=text, facts=facts, content=None)
    except LeaseLost:
        logger.info("Sending %s was sent by somebody else too", item.pk)
    except Exception as error:
        state = workqueue.fail(item, error)
        level = logging.INFO if isinstance(error, workqueue.QueueError) else logging.WARNING
        logger.log(level, "Sending %s is %s after %s", item.pk, state, type(error).__name__)


def _call(item: OutboundEvent, said: dict[str, Any]) -> client.Answer:
    if item.kind == Kind.FILE:
        return client.submit_file(item.connection, said)
    if item.kind == Kind.EXPENSE:
        return client.submit_expense(item.connection, said)
    return client.send(item.connection, event_type(item), said)


def _security_token(item: OutboundEvent, now: datetime) -> str:
    """Read when it is needed, and stored nowhere else. Raises NeedsPerson (SP-412)."""
    if item.kind != Kind.FILE:
        return ""
    insurer = item.case.insurer if item.case else None
    token = adapter.security_token(insurer, now) if insurer else ""
    if not token:
        raise NeedsPerson(errors.NO_VALID_TOKEN, company=str(insurer or "?"))
    return token
