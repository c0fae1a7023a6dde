"""The table of queues and of periodic jobs: what there is, who works it, and where.

>>> drain(queues.IMAGES)         # work what is due in this process (workqueue/drain.py)
>>> ring(queues.IMAGES)          # have a job do it (workqueue/doorbell.py)

Imports nothing of ours: functions and models are named by their paths and loaded on first use.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queue:
    """A table whose rows are worked (workqueue/rows.py)."""

    name: str
    # "app_label.Model", a QueueItem.
    model: str
    # The path of a function: () -> the QuerySet of rows that may be claimed now, whether or not they are due.
    ready: str
    # The path of a function that takes a list of claimed rows, finishes or fails each of them, and raises nothing. The
    # list is one row, or the rows that ``together`` makes one piece of work.
    work: str
    # How many fresh rows are claimed at once; None: as DRAIN_BATCH says. 1 where a row is a call to a stranger: a lease
    # must outlive the slowest call, and a second row behind it would lose its own.
    batch: int | None
    # The Celery queue of the job.
    celery: str
    # Columns of the rows that are worked as one where they are equal; each row alone where there are none.
    together: tuple[str, ...] = ()
    # The path of a function that takes the rows that were given up because their workers died, in the transaction that
    # fails them; "" where nothing else is to be done.
    lost: str = ""

    @property
    def job(self) -> str:
        """The name by which Celery knows the job that works the queue."""
        return f"scalepoint_integration.jobs.drain_{self.name}"


@dataclass(frozen=True, slots=True)
class Periodic:
    """A job that runs every so often. ``work`` is the path of a function without arguments."""

    name: str
    work: str
    seconds: float
    celery: str

    @property
    def job(self) -> str:
        """The name by which Celery knows the job."""
        return f"scalepoint_integration.jobs.{self.name}"


Job = Queue | Periodic

# What is fetched or sent has a Celery queue, and a worker, of its own: a slow host elsewhere can't starve the cases.
# Events are polled for in a third one: such a call is held open by Scalepoint, for long.
_MAIN, _IMAGES, _OUTBOUND, _POLL = "scalepoint", "scalepoint-images", "scalepoint-outbound", "scalepoint-poll"

EVENTS = Queue(
    name="events",
    model="scalepoint_integration.InboundEvent",
    ready="scalepoint_integration.handling.run.ready",
    work="scalepoint_integration.handling.run.handle",
    batch=None,
    celery=_MAIN,
    lost="scalepoint_integration.handling.run.note_lost",
)
IMAGES = Queue(
    name="images",
    model="scalepoint_integration.ImagePull",
    ready="scalepoint_integration.fetching.images.ready",
    work="scalepoint_integration.fetching.images.pull",
    batch=1,
    celery=_IMAGES,
)
SETTLEMENTS = Queue(
    name="settlements",
    model="scalepoint_integration.SettlementPull",
    ready="scalepoint_integration.fetching.settlements.ready",
    work="scalepoint_integration.fetching.settlements.pull",
    batch=1,
    celery=_IMAGES,
)
OUTBOUND = Queue(
    name="outbound",
    model="scalepoint_integration.OutboundEvent",
    ready="scalepoint_integration.sending.outbox.sendable",
    work="scalepoint_integration.sending.outbox.send",
    batch=1,
    celery=_OUTBOUND,
)
NOTICES = Queue(
    name="notices",
    model="scalepoint_integration.Notice",
    ready="scalepoint_integration.sending.notifications.ready",
    work="scalepoint_integration.sending.notifications.send",
    batch=500,
    # One mail; also for those that could not be sent before: an outage of the mail server must not end in fifty mails.
    together=("user_id", "kind"),
    celery=_OUTBOUND,
)
QUEUES = (EVENTS, IMAGES, SETTLEMENTS, OUTBOUND, NOTICES)

# Alone it is enough: every ring may be lost.
SWEEP = Periodic("sweep", "scalepoint_integration.upkeep.sweep.sweep", 10.0, _MAIN)
# Does nothing where no connection fetches. While one does, each turn rings for the next.
POLL = Periodic("poll", "scalepoint_integration.receiving.poller.drain", 30.0, _POLL)
WATCH = Periodic("watch", "scalepoint_integration.upkeep.watch.watch", 3600.0, _MAIN)
PRUNE = Periodic("prune", "scalepoint_integration.upkeep.prune.prune", 3600.0, _MAIN)
PERIODIC = (SWEEP, POLL, WATCH, PRUNE)

JOBS: tuple[Job, ...] = (*QUEUES, *PERIODIC)
