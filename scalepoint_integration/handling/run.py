"""The way of a stored event: claimed, given to its handler, and what follows when that fails; retry, ignore, replay."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from scalepoint_integration import errors, queues, workqueue
from scalepoint_integration import events as table
from scalepoint_integration.conf import conf
from scalepoint_integration.models import Connection, EventAttempt, InboundEvent
from scalepoint_integration.models.event import COLUMNS
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.sending import notifications
from scalepoint_integration.workqueue import LeaseLost, NeedsPerson, NotForUs, PermanentError
from scalepoint_integration.workqueue.doorbell import ring
from scalepoint_integration.workqueue.drain import work

logger = logging.getLogger(__name__)

Handler = Callable[[InboundEvent, Any, datetime], None]

# On hold, cases are stored and nothing is made of them; but for a test, which somebody asked for by hand.
_HANDLED = Q(connection__switch=Connection.Switch.ON) | Q(
    connection__switch=Connection.Switch.PAUSED, source=InboundEvent.Source.TEST
)


def find_handler(event_type: str) -> Handler:
    """The handler of a type; the host's own come first. Raises NotForUs (SP-106)."""
    own = conf().handlers.get(event_type)
    if own:
        handler: Handler = import_string(own)
        return handler
    ours = table.handler(event_type)
    if ours is None:
        known = "documented, not used here" if event_type in table.EVENTS else "unknown"
        raise NotForUs(errors.UNUSED_TYPE, f"{known}: {event_type}")
    return ours


def ready(among: "QuerySet[InboundEvent] | None" = None) -> "QuerySet[InboundEvent]":
    """Events of connections that are on. Those of a batch share their connection and insurer, so that team, template
    and the like are read once per batch and not once per event."""
    rows = InboundEvent.objects.all() if among is None else among
    return rows.filter(_HANDLED).prefetch_related("connection", "insurer")


def handle(events: Sequence[InboundEvent]) -> None:
    """Handle claimed events, each in a transaction of its own."""
    for event in events:
        _handle(event)


def run_now(events: "QuerySet[InboundEvent]") -> int:
    """Handle those of these events that are due in this process, so that the office sees on the next page what came of
    it; Celery need not run. What a worker holds is left to it. Returns how many."""
    deadline = time.monotonic() + conf().drain_seconds
    handled, tried = 0, False
    while time.monotonic() < deadline:
        batch = workqueue.claim(ready(events), 1, tried=tried)
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
        batch = workqueue.claim(ready(chosen), len(keys))
    work(queues.EVENTS, batch)
    return count


def replay_now(event: InboundEvent) -> InboundEvent:
    """``replay``, handled in this process, likewise."""
    with transaction.atomic():
        made = replay(event)
        batch = workqueue.claim(ready(InboundEvent.objects.filter(pk=made.pk)), 1)
    work(queues.EVENTS, batch)
    return made


def _handle(event: InboundEvent) -> None:
    try:
        content = event.content()
        if content is None:
            raise PermanentError(errors.UNFORESEEN, "the content was deleted by the retention rule")
        handle = find_handler(event.event_type)
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
        notifications.about_failure(event, said["error_code"], said["error_facts"])


def note_lost(events: Sequence[InboundEvent]) -> None:
    """Write down the last try of events that were given up, and tell of it."""
    detail = "The worker died repeatedly while it handled this."
    EventAttempt.objects.bulk_create(
        EventAttempt(event=event, error_code=errors.UNFORESEEN.code, detail=detail) for event in events
    )
    for event in events:
        notifications.about_failure(event, errors.UNFORESEEN.code, {})


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
        ring(queues.EVENTS)
    return count


def ignore(events: "QuerySet[InboundEvent]", because: str) -> int:
    """A person sets failed and waiting events aside; what a worker holds, and what is handled, is left alone. Returns
    how many."""
    waiting = Q(status=InboundEvent.Status.PENDING) & ~Q(error_code="")
    return events.filter(Q(status=InboundEvent.Status.FAILED) | waiting).update(
        status=InboundEvent.Status.IGNORED, finished_at=Now(), ignored_because=because[:300]
    )


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
            raise NotReplayable(_("The content was deleted by the retention rule and can't be replayed."))
        waiting = InboundEvent.objects.filter(status=InboundEvent.Status.PENDING)
        if waiting.filter(pk=origin.pk).exists() or waiting.filter(replay_of=origin).exists():
            raise NotReplayable(_("It is already waiting for its turn."))
        copied = [each.strip() for each in COLUMNS.split(",")][:13]
        made = InboundEvent.objects.create(replay_of=origin, **{name: getattr(origin, name) for name in copied})
    ring(queues.EVENTS)
    return made
