"""What Celery runs. Nothing is decided here, and no job has arguments: what there is to do stands in the database."""

from contextlib import suppress
from typing import Any

from celery import shared_task
from django.db import connections
from django.utils.module_loading import import_string

from scalepoint_integration import queues
from scalepoint_integration.workqueue.drain import drain


def _job(row: queues.Job) -> Any:
    """A task that leaves no broken database connection behind.

    Celery's soft time limit is an exception out of any line. Out of a query that is under way it leaves a connection
    that never answers again, out of the line that opens a transaction one that commits nothing any more. Neither
    Django, which looks for errors of the database's, nor Celery, which may keep a connection for many jobs, would
    notice; each later job of the process fails at once, and as the one that is always free it gets all the work.
    """

    @shared_task(bind=True, name=row.job)
    def run(task: Any) -> None:
        broken = True
        try:
            if isinstance(row, queues.Queue):
                drain(row)
            else:
                import_string(row.work)()
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


# One for each row of the table, by the name that its row gives it.
JOBS = {row.job: _job(row) for row in queues.JOBS}
