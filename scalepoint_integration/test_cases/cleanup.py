"""Delete test cases with all that they made."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from crm.models import Customer
from scalepoint_integration import adapter
from scalepoint_integration.models import Case, InboundEvent
from scalepoint_integration.test_cases.examples import TWINS, TWINS_NUMBER
from tasks.models import Task

_KEPT = timedelta(days=1)


def tests() -> "QuerySet[Case]":
    """The test cases that were made here. Not a real case that somebody marked as a test: it came from Scalepoint, and
    nothing of that is ever deleted."""
    real = InboundEvent.objects.filter(case=OuterRef("pk")).exclude(source=InboundEvent.Source.TEST)
    return Case.objects.filter(~Exists(real), is_test=True)


def remove(cases: "QuerySet[Case]") -> int:
    """Delete cases of ``tests()`` with all that they made: tasks, images, the customers made for them alone, events.
    Returns how many cases."""
    removed = 0
    for pk in list(cases.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            Case.objects.select_for_update().filter(pk=pk).first()  # first the lock, then the question
            case = tests().filter(pk=pk).first()
            if case is None:
                continue
            case.skip_history_when_saving = True  # type: ignore[attr-defined]
            _remove(case)
            removed += 1
    # What never became a case, and the two who share a number.
    stray = InboundEvent.objects.filter(source=InboundEvent.Source.TEST, case=None)
    stray.exclude(status=InboundEvent.Status.PENDING).delete()
    for twin in Customer.objects.filter(customer_number=TWINS_NUMBER, name__in=TWINS):
        if not twin.cases.exists() and not twin.tasks.exists():
            twin.delete()
    return removed


def prune(now: datetime) -> int:
    """Delete the test cases that nobody wanted to keep, a day after they came."""
    return remove(tests().filter(test_kept=False, created_at__lt=now - _KEPT))


def _remove(case: Case) -> None:
    adapter.remove_tasks(list(Task.objects.filter(scalepoint_service__case=case)))
    customer, pk = case.customer, case.pk
    case.outbound.all().delete()
    InboundEvent.objects.filter(case=case, replay_of__isnull=False).delete()
    InboundEvent.objects.filter(case=case).delete()
    case.delete()
    Case.history.filter(id=pk).delete()
    if customer is None or not customer.name.startswith("TEST "):
        return
    if not customer.cases.exists() and not customer.tasks.exists():
        customer.delete()
