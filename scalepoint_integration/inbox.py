"""The life of an event: receive, drain, sweep, replay, prune.

Hidden here: how an event is stored exactly once, how it is handed to its handler, and what happens when that fails.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Max, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.secrets import encrypt_bytes
from scalepoint_integration import adapter, errors, handlers, notices, outbox, workqueue
from scalepoint_integration.conf import conf
from scalepoint_integration.doorbell import answered, ring
from scalepoint_integration.models import (
    Connection,
    EventAttempt,
    Heartbeat,
    ImagePull,
    InboundEvent,
    Notice,
    OutboundEvent,
    Refusal,
    SettlementPull,
)
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.envelope import Envelope
from scalepoint_integration.workqueue import LeaseLost, NeedsPerson, NotForUs, PermanentError

logger = logging.getLogger(__name__)

_SWEEP = "sweep"
# On hold, cases are stored and nothing is made of them; but for a test, which somebody asked for by hand.
_HANDLED = Q(connection__switch=Connection.Switch.ON) | Q(
    connection__switch=Connection.Switch.PAUSED, source=InboundEvent.Source.TEST
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery: the id of its row, and whether that row was there before."""

    id: int
    event_type: str
    duplicate: bool


def receive(
    connection_id: int, insurer_id: int | None, events: Sequence[Envelope], source: str = InboundEvent.Source.PUSH
) -> list[Receipt]:
    """Store events, all or none, each exactly once. When this returns outside a transaction they are committed.

    A duplicate of a failed event makes it due again: the sender asks for it a second time, and *seen* is not *done*.
    """
    ids = _insert(connection_id, insurer_id, events, source)
    new = set(ids)
    known = {event.dedupe_key for event in events} - new
    if known:
        earlier = InboundEvent.objects.filter(connection_id=connection_id, dedupe_key__in=known, replay_of=None)
        rows = list(earlier.values_list("pk", "dedupe_key", "status"))
        ids |= {key: pk for pk, key, _seen in rows}
        failed = [pk for pk, _known, status in rows if status == InboundEvent.Status.FAILED]
        if failed:
            workqueue.retry(InboundEvent.objects.filter(pk__in=failed, status=InboundEvent.Status.FAILED))
    transaction.on_commit(partial(ring, "drain"), robust=True)
    receipts = []
    for event in events:
        receipts.append(Receipt(ids[event.dedupe_key], event.event_type, event.dedupe_key not in new))
        new.discard(event.dedupe_key)  # the same event twice in one batch: the second is a duplicate
    _count_again({receipt.id for receipt in receipts if receipt.duplicate})
    return receipts


def _count_again(ids: set[int]) -> None:
    """Write down that these came again (SP-107). A row that is being handled this moment is passed over: a count that
    is one short harms nobody, a sender who waits for our worker does."""
    if not ids:
        return
    with transaction.atomic():
        rows = InboundEvent.objects.filter(pk__in=ids).select_for_update(skip_locked=True, of=("self",))
        free = list(rows.order_by("pk").values_list("pk", flat=True))
        InboundEvent.objects.filter(pk__in=free).update(duplicates=F("duplicates") + 1, duplicate_at=Now())


_COLUMNS = (
    "connection_id, insurer_id, source, dedupe_key, event_type, payload_version, correlation_id, vendor_id, "
    "case_number, service_reference, occurred_at, size, body, status, attempts, claims, error_code, error_facts, "
    "last_error"
)
_ROW = "(" + ", ".join(["%s"] * 13) + ", 'pending', 0, 0, '', '{}', '')"


def _insert(connection_id: int, insurer_id: int | None, events: Sequence[Envelope], source: str) -> dict[str, int]:
    """One statement for all events; returns {dedupe_key: id} of the rows that are new.

    By hand, because the ORM's ways to the same end were measured at half the speed or less, and "get or create"
    answered two copies at once with an error.
    """
    rows = {event.dedupe_key: event for event in events}
    values: list[Any] = []
    for key, event in sorted(rows.items()):  # one order for all writers: two batches can't deadlock
        values += [connection_id, insurer_id, source, key, event.event_type, event.payload_version]
        values += [event.correlation_id, event.vendor_id, event.case_number, event.service_reference]
        values += [
            database.ops.adapt_datetimefield_value(event.occurred_at),
            len(event.body),
            encrypt_bytes(event.body),
        ]
    statement = (
        f"INSERT INTO {InboundEvent._meta.db_table} ({_COLUMNS}) VALUES {', '.join([_ROW] * len(rows))} "  # noqa: S608
        "ON CONFLICT (connection_id, dedupe_key) WHERE replay_of_id IS NULL DO NOTHING RETURNING dedupe_key, id"
    )
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        return dict(cursor.fetchall())


def drain() -> int:
    """Handle what is due, oldest first, until nothing is or the time of a job is used up. Returns how many."""
    answered("drain")
    options = conf()
    deadline = time.monotonic() + options.drain_seconds
    handled, tried, empty = 0, False, 0
    # Fresh rows come in batches, rows that were tried before one by one; neither may starve the other.
    while empty < 2 and time.monotonic() < deadline:
        batch = _claim(1 if tried else options.drain_batch, tried=tried)
        empty = 0 if batch else empty + 1
        handled += _handle_all(batch)
        tried = not tried
    return handled


def _handle_all(batch: list[InboundEvent]) -> int:
    """Handle what was claimed together. Returns how many."""
    begun = time.monotonic()
    for place, event in enumerate(batch):
        if time.monotonic() - begun > conf().lease_seconds / 2:
            workqueue.release(batch[place:])  # rather than lose the leases of the rest
            return place
        _handle(event)
    return len(batch)


def run_now(events: "QuerySet[InboundEvent]") -> int:
    """Handle those of these events that are due in this process, so that the office sees on the next page what came of
    it; Celery need not run. What a worker holds is left to it. Returns how many."""
    deadline = time.monotonic() + conf().drain_seconds
    handled, tried = 0, False
    while time.monotonic() < deadline:
        batch = _claim(1, tried=tried, among=events)
        if not batch and tried:
            break
        tried = tried or not batch
        for event in batch:
            _handle(event)
            handled += 1
    return handled


def retry_now(events: "QuerySet[InboundEvent]", by: Any) -> int:
    """``retry``, and handle them in this process, so that the next page says what came of it. Returns how many.

    Claimed in the transaction that makes them due: a worker who hears the ring would be faster now and then, and the
    page would show the old problem."""
    keys = list(events.values_list("pk", flat=True))
    chosen = InboundEvent.objects.filter(pk__in=keys)
    with transaction.atomic():
        count = retry(chosen, by)
        batch = _claim(len(keys), tried=False, among=chosen)
    _handle_all(batch)
    return count


def replay_now(event: InboundEvent) -> InboundEvent:
    """``replay``, handled in this process, likewise."""
    with transaction.atomic():
        made = replay(event)
        batch = _claim(1, tried=False, among=InboundEvent.objects.filter(pk=made.pk))
    _handle_all(batch)
    return made


def _claim(limit: int, *, tried: bool, among: "QuerySet[InboundEvent] | None" = None) -> list[InboundEvent]:
    """Claimed events of connections that are on. Those of a batch share their connection and insurer, so that team,
    template and the like are read once per batch and not once per event."""
    rows = InboundEvent.objects.all() if among is None else among
    batch = workqueue.claim(rows.filter(_HANDLED), limit, tried=tried)
    connections = Connection.objects.in_bulk({event.connection_id for event in batch})
    insurers = adapter.insurers({event.insurer_id for event in batch if event.insurer_id})
    for event in batch:
        event.connection = connections[event.connection_id]
        event.insurer = insurers[event.insurer_id] if event.insurer_id else None
    return batch


def _handle(event: InboundEvent) -> None:
    try:
        content = event.content()
        if content is None:
            raise PermanentError(errors.UNFORESEEN, "the content was deleted by the retention rule")
        handle = handlers.find(event.event_type)
        try:
            payload = strict_json.parse(content)
        except strict_json.BadJson as error:
            raise PermanentError(errors.UNREADABLE, str(error)) from error
        with workqueue.finish(event):
            try:
                handle(event, payload, timezone.now())
            except NeedsPerson as error:
                _note_try(event, error, final=True)  # kept with the rest: finish commits what was written before it
                raise
    except LeaseLost:
        logger.info("Event %s is handled by somebody else by now", event.pk)
    except Exception as error:
        with transaction.atomic():
            state = workqueue.fail(event, error)
            if state is not None and not isinstance(error, NotForUs):
                _note_try(event, error, final=state == InboundEvent.Status.FAILED)
        # The number only: an error's text can hold what a person wrote.
        level = logging.INFO if isinstance(error, workqueue.QueueError) else logging.WARNING
        logger.log(level, "Event %s is %s after %s", event.pk, state, type(error).__name__)


def _note_try(event: InboundEvent, error: BaseException, *, final: bool) -> None:
    """A try that did not succeed gets a row; one that did is the event's own ``finished_at``. The last one is told to
    those who are told of errors."""
    said = workqueue.told(error)
    EventAttempt.objects.create(
        event=event, error_code=said["error_code"], error_facts=said["error_facts"], detail=said["last_error"]
    )
    if final:
        notices.about_failure(event, said["error_code"], said["error_facts"])


def _give_up_events() -> list[InboundEvent]:
    with transaction.atomic():
        lost = workqueue.give_up(InboundEvent)
        detail = "The worker died repeatedly while it handled this."
        EventAttempt.objects.bulk_create(
            EventAttempt(event=event, error_code=errors.UNFORESEEN.code, detail=detail) for event in lost
        )
        for event in lost:
            notices.about_failure(event, errors.UNFORESEEN.code, {})
    return lost


def retry(events: "QuerySet[InboundEvent]", by: Any) -> int:
    """A person asks for another try: failed and ignored events are due again, those that wait for their next attempt
    are hurried. Their newest failed try says who asked. Returns how many; an event without its content is not one."""
    chosen = events.exclude(body=None)
    with transaction.atomic():
        newest = EventAttempt.objects.filter(event__in=chosen.values("pk")).values("event").annotate(newest=Max("pk"))
        asked = list(newest.values_list("newest", flat=True))
        count = workqueue.retry(chosen)
        EventAttempt.objects.filter(pk__in=asked, retried_by=None, event__status=InboundEvent.Status.PENDING).update(
            retried_by=by
        )
    if count:
        ring("drain")
    return count


def ignore(events: "QuerySet[InboundEvent]", because: str) -> int:
    """A person sets failed and waiting events aside; what a worker holds, and what is handled, is left alone. Returns
    how many."""
    waiting = Q(status=InboundEvent.Status.PENDING) & ~Q(error_code="")
    return events.filter(Q(status=InboundEvent.Status.FAILED) | waiting).update(
        status=InboundEvent.Status.IGNORED, finished_at=Now(), ignored_because=because[:300]
    )


def sweep() -> None:
    """Find what the rings missed. Alone it is enough to get everything done."""
    Heartbeat.objects.update_or_create(name=_SWEEP, defaults={"at": timezone.now()})
    for model in (InboundEvent, ImagePull, OutboundEvent, SettlementPull, Notice):
        for row in _give_up_events() if model is InboundEvent else workqueue.give_up(model):
            logger.error("%s %s was given up: its worker died %s times", model.__name__, row.pk, row.attempts)
    drain()
    if ImagePull.objects.filter(status=ImagePull.Status.PENDING, available_at__lte=Now()).exists():
        ring("drain_images")
    if notices.due():
        ring("drain_notices")
    if outbox.due():
        ring("drain_outbound")
    if SettlementPull.objects.filter(status=SettlementPull.Status.PENDING, available_at__lte=Now()).exists():
        ring("drain_settlements")


def alive(now: datetime) -> bool:
    """Whether the background job was seen lately: a sweep is due every ten seconds, and a long drain may delay it."""
    return Heartbeat.objects.filter(name=_SWEEP, at__gt=now - timedelta(minutes=2)).exists()


class NotReplayable(Exception):
    """Why an event can't be run again, in the reader's language."""


def replay(event: InboundEvent) -> InboundEvent:
    """Run a stored event again, as a new line that points to the original; the original is not changed.

    Raises NotReplayable where the content is gone, or while the event, or a replay of it, still waits.
    """
    origin = event.replay_of or event
    with transaction.atomic():
        origin = InboundEvent.objects.select_for_update().get(pk=origin.pk)
        if origin.body is None:
            raise NotReplayable(_("The content was deleted by the retention rule and can't be run again."))
        waiting = InboundEvent.objects.filter(status=InboundEvent.Status.PENDING)
        if waiting.filter(pk=origin.pk).exists() or waiting.filter(replay_of=origin).exists():
            raise NotReplayable(_("It is waiting for its turn already."))
        copied = [each.strip() for each in _COLUMNS.split(",")][:13]
        made = InboundEvent.objects.create(replay_of=origin, **{name: getattr(origin, name) for name in copied})
    ring("drain")
    return made


def prune() -> None:
    """Delete what the site promised not to keep: the content of handled events, and old refused tries."""
    options = conf()
    old = Now() - timedelta(days=options.body_days)
    InboundEvent.objects.filter(received_at__lt=old).exclude(status=InboundEvent.Status.PENDING).exclude(
        body=None
    ).update(body=None)
    ImagePull.objects.filter(created_at__lt=old, status=ImagePull.Status.FAILED).exclude(content=None).update(
        content=None
    )
    OutboundEvent.objects.filter(created_at__lt=old).exclude(status=OutboundEvent.Status.PENDING).exclude(
        facts={}
    ).update(facts={}, content=None, answer="")
    Refusal.objects.filter(received_at__lt=Now() - timedelta(days=options.refusal_days)).delete()
    adapter.prune(timezone.now().date())
