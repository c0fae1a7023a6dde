"""The one loop in which a queue is worked, and its fairness.

>>> drain(queues.IMAGES)

A batch of fresh rows, then one row that was tried before, in turns, until there are neither or the time of a job is
used up: neither may starve the other. What was tried before comes alone, or with those that are worked as one with it:
it may be what killed its worker, and must not use up the attempts of others.
"""

import time
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from scalepoint_integration.conf import conf
from scalepoint_integration.queues import Queue
from scalepoint_integration.workqueue.doorbell import answered
from scalepoint_integration.workqueue.rows import QueueItem, claim, release


def drain(queue: Queue) -> int:
    """Work what is due, oldest first. Returns how many pieces of work were begun: rows, or rows worked as one."""
    answered(queue)
    options = conf()
    begun = time.monotonic()
    # Nothing is begun after half a lease, so that the other half is left for what was begun last.
    stop = begun + options.lease_seconds / 2
    end = min(begun + options.drain_seconds, stop)
    count, tried, empty = 0, False, 0
    while empty < 2 and time.monotonic() < end:
        rows = _claim(queue, tried)
        empty = 0 if rows else empty + 1
        count += work(queue, rows, stop)
        tried = not tried
    return count


def work(queue: Queue, rows: Sequence[Any], stop: float | None = None) -> int:
    """Work claimed rows. What is not begun by ``stop``, on the monotonic clock, is handed back rather than lose its
    lease; by itself that is half a lease from now. Returns how many pieces of work were begun."""
    stop = time.monotonic() + conf().lease_seconds / 2 if stop is None else stop
    call = import_string(queue.work)
    pieces = _pieces(queue, rows)
    for place, piece in enumerate(pieces):
        if time.monotonic() > stop:
            release([row for rest in pieces[place:] for row in rest])
            return place
        call(piece)
    return len(pieces)


def due(queue: Queue) -> bool:
    """Whether a drain would find something."""
    return _ready(queue).filter(status=QueueItem.Status.PENDING, available_at__lte=Now()).exists()


def _claim(queue: Queue, tried: bool) -> list[Any]:
    ready, batch = _ready(queue), queue.batch or conf().drain_batch
    rows = claim(ready, 1 if tried else batch, tried=tried)
    if tried and rows and queue.together:
        same = {column: getattr(rows[0], column) for column in queue.together}
        rows += claim(ready.filter(**same), batch - 1, tried=True)
    return rows


def _pieces(queue: Queue, rows: Sequence[Any]) -> list[list[Any]]:
    if not queue.together:
        return [[row] for row in rows]
    pieces: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        pieces.setdefault(tuple(getattr(row, column) for column in queue.together), []).append(row)
    return list(pieces.values())


def _ready(queue: Queue) -> "QuerySet[Any]":
    rows: QuerySet[Any] = import_string(queue.ready)()
    return rows
