"""What Celery runs. Nothing is decided here, and no job has arguments: what there is to do stands in the database."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from celery import shared_task
from django.db import connections

from scalepoint_integration import images, notices, outbox, poller, settlements
from scalepoint_integration.handling import run as handling
from scalepoint_integration.upkeep import prune as upkeep_prune
from scalepoint_integration.upkeep import sweep as upkeep_sweep
from scalepoint_integration.upkeep import watch as upkeep_watch


def _job(work: Callable[[], object]) -> Any:
    """A task that leaves no broken database connection behind.

    Celery's soft time limit is an exception out of any line. Out of a query that is under way it leaves a connection
    that never answers again, out of the line that opens a transaction one that commits nothing any more. Neither
    Django, which looks for errors of the database's, nor Celery, which may keep a connection for many jobs, would
    notice; each later job of the process fails at once, and as the one that is always free it gets all the work.
    """

    @shared_task(bind=True)
    @wraps(work)
    def run(task: Any) -> None:
        broken = True
        try:
            work()
            broken = False
        finally:
            # Called as a function, or eagerly, it stands in the caller's own transaction.
            if not (task.request.called_directly or task.request.is_eager):
                _drop_connections(broken)

    return run


def _drop_connections(broken: bool) -> None:
    for each in connections.all(initialized_only=True):
        if broken or each.in_atomic_block:
            with suppress(Exception):
                each.close()
            # Forgotten, not only closed: one that believes to be in a transaction would never connect again.
            del connections[each.alias]


@_job
def drain() -> None:
    handling.drain()


@_job
def drain_images() -> None:
    images.drain()


@_job
def drain_outbound() -> None:
    outbox.drain()


@_job
def drain_notices() -> None:
    notices.drain()


@_job
def poll() -> None:
    poller.drain()


@_job
def drain_settlements() -> None:
    settlements.drain()


@_job
def sweep() -> None:
    upkeep_sweep.sweep()


@_job
def watch() -> None:
    upkeep_watch.watch()


@_job
def prune() -> None:
    upkeep_prune.prune()
