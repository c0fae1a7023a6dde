"""The queue that is a table: rows claim, finish, fail and come due again. Three queues use it.

A row is its own queue entry: claim, lease, retry clock and fence are columns. Two counters on purpose:
``attempts`` is the budget, and a retry by hand resets it; ``claims`` is the fence and is never reset, so that a
worker which lost its lease can never write over the new owner. All times are the database's clock.

What a handler raises says who must act: ``RetryableError`` (or anything unforeseen) the clock, ``NeedsPerson`` the
office, ``PermanentError`` somebody technical, ``NotForUs`` nobody.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.errors import Error


class QueueError(Exception):
    """A failure with a row of the table (``errors.py``) and the facts its text needs. JSON values only."""

    def __init__(self, error: Error, detail: str = "", **facts: Any) -> None:
        super().__init__(f"{error.code} {detail}".strip())
        self.code = error.code
        self.facts = facts


class RetryableError(Exception):
    """It may work later. ``seconds`` is the shortest time to wait, where the other side named one; ``error`` is what
    the office reads meanwhile, and if it never works."""

    def __init__(self, detail: str = "", seconds: float | None = None, error: Error = errors.UNFORESEEN) -> None:
        super().__init__(detail)
        self.seconds, self.code = seconds, error.code


class NeedsPerson(QueueError):
    """Somebody in the office must decide; trying again changes nothing before that."""


class PermanentError(QueueError):
    """It will never work as it is."""


class NotForUs(QueueError):
    """Nothing to do, and that is fine."""


class LeaseLost(Exception):
    """Somebody else owns the row by now; whatever was done in this transaction is undone."""


class QueueItem(models.Model):
    """The columns of a queue. There is no "processing" state to get stuck in: a claimed row is a pending one that is
    not due yet."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        DONE = "done", _("Handled")
        IGNORED = "ignored", _("Ignored")
        FAILED = "failed", _("Failed")

    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.PENDING, editable=False)
    attempts = models.PositiveIntegerField(_("attempts"), default=0, editable=False)
    claims = models.PositiveIntegerField(default=0, editable=False)
    available_at = models.DateTimeField(_("next attempt"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, editable=False)
    error_code = models.CharField(_("error code"), max_length=10, blank=True, editable=False)
    error_facts = models.JSONField(default=dict, blank=True, editable=False)
    last_error = models.TextField(_("technical error"), blank=True, editable=False)

    class Meta:
        abstract = True
        indexes = [
            models.Index(fields=["available_at"], condition=Q(status="pending"), name="sp_%(class)s_due"),
            models.Index(fields=["status", "-id"], name="sp_%(class)s_status"),
        ]


Item = TypeVar("Item", bound=QueueItem)


def claim(items: models.QuerySet[Item], limit: int, *, tried: bool = False) -> list[Item]:
    """Take up to ``limit`` due rows for ``conf().lease_seconds``, oldest first; the attempt is counted and committed
    before any work. Rows that another worker holds are passed over.

    ``tried`` picks rows that were claimed before and never finished. They are claimed one at a time (give ``limit``
    1) or with those that are worked as one with it (drain.py): one of them may be what killed its worker, and must not
    burn the attempts of the others a second time.
    """
    options = conf()
    budget = Q(attempts__gt=0, attempts__lt=options.max_attempts) if tried else Q(attempts=0)
    rows = items.model._default_manager
    with transaction.atomic():
        # Two statements, because the portable ORM has no UPDATE .. RETURNING; the row locks make them one act.
        keys = list(
            items.filter(budget, status=QueueItem.Status.PENDING, available_at__lte=Now())
            .select_for_update(skip_locked=True, of=("self",))
            .order_by("available_at", "pk")
            .values_list("pk", flat=True)[:limit]
        )
        if not keys:
            return []
        rows.filter(pk__in=keys).update(
            attempts=F("attempts") + 1,
            claims=F("claims") + 1,
            error_code="",  # a code on a pending row means: nobody holds it, it waits for its next attempt
            available_at=Now() + timedelta(seconds=options.lease_seconds),
        )
        return list(items.filter(pk__in=keys).order_by("available_at", "pk"))


@contextmanager
def finish(item: QueueItem) -> Iterator[None]:
    """Run the effects and mark the row done, in one transaction. Raises LeaseLost, with all undone, where the row is
    no longer ours.

    NeedsPerson out of the effects marks the row failed and keeps what was written before: the office must see what it
    is about. Any other exception undoes everything and passes through.
    """
    with transaction.atomic():
        try:
            yield
        except NeedsPerson as error:
            if fail(item, error) is None:
                raise LeaseLost from error
            return
        done = {"status": QueueItem.Status.DONE, "finished_at": Now(), "error_code": "", "error_facts": {}}
        if not _mine(item).update(**done, last_error=""):
            raise LeaseLost


def fail(item: QueueItem, error: BaseException) -> QueueItem.Status | None:
    """Write down what went wrong and who acts next. Returns the new state, None where the row is no longer ours."""
    options = conf()
    changes = told(error)
    if isinstance(error, NotForUs):
        changes |= {"status": QueueItem.Status.IGNORED, "finished_at": Now()}
    elif isinstance(error, QueueError) or item.attempts >= options.max_attempts:
        changes |= {"status": QueueItem.Status.FAILED, "finished_at": Now()}
    else:
        asked = (error.seconds if isinstance(error, RetryableError) else None) or 0.0
        pause = min(options.backoff_seconds * 2 ** (item.attempts - 1), options.backoff_max_seconds)
        pause = max(asked, pause * random.uniform(0.5, 1.0))  # noqa: S311  jitter, not a secret
        changes |= {"status": QueueItem.Status.PENDING, "available_at": Now() + timedelta(seconds=pause)}
    return changes["status"] if _mine(item).update(**changes) else None


def told(error: BaseException) -> dict[str, Any]:
    """What is written down of an error: ``error_code``, ``error_facts``, ``last_error``."""
    return {
        "error_code": error.code if isinstance(error, QueueError | RetryableError) else errors.UNFORESEEN.code,
        "error_facts": error.facts if isinstance(error, QueueError) else {},
        "last_error": f"{type(error).__name__}: {error}"[:2000],
    }


def release(items: Sequence[QueueItem]) -> None:
    """Hand back rows that were claimed and not begun, as if they never had been: due at once, no attempt used."""
    for item in items:
        _mine(item).update(attempts=F("attempts") - 1, available_at=Now())


def give_up(model: type[Item]) -> list[Item]:
    """Fail the rows whose budget is used up by workers that never came back. Returns them."""
    with transaction.atomic():
        lost = list(
            model._default_manager.filter(
                status=QueueItem.Status.PENDING, available_at__lte=Now(), attempts__gte=conf().max_attempts
            ).select_for_update(skip_locked=True)
        )
        model._default_manager.filter(pk__in=[item.pk for item in lost]).update(
            status=QueueItem.Status.FAILED,
            finished_at=Now(),
            error_code=errors.UNFORESEEN.code,
            last_error="The worker died repeatedly while it handled this.",
        )
    return lost


def retry(items: models.QuerySet[Item]) -> int:
    """Make failed and ignored rows due again with a fresh budget; also hurry those that wait for their next attempt.
    Rows that a worker holds are left to it. Returns how many."""
    waiting = Q(status=QueueItem.Status.PENDING, attempts__gt=0) & ~Q(error_code="")
    ended = Q(status__in=[QueueItem.Status.FAILED, QueueItem.Status.IGNORED])
    return items.filter(ended | waiting).update(
        status=QueueItem.Status.PENDING, attempts=0, available_at=Now(), finished_at=None
    )


def _mine(item: QueueItem) -> models.QuerySet[Any]:
    manager = type(item)._default_manager
    return manager.filter(pk=item.pk, claims=item.claims, status=QueueItem.Status.PENDING)
