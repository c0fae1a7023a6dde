"""Settlements item by item: asked for when a case is settled, fetched later from the Settlement API.

The model of this queue is images/__init__.py. A revision does not change once it is made, so the last answer counts.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from scalepoint_integration import client, errors, queues, workqueue
from scalepoint_integration.models import (
    Case,
    Connection,
    Revision,
    RevisionGroup,
    RevisionItem,
    Settlement,
    SettlementPull,
)
from scalepoint_integration.payloads import revision as told
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.workqueue import LeaseLost, PermanentError
from scalepoint_integration.workqueue.doorbell import ring

# These say whose the revision is, or become rows of their own.
_NOT_COLUMNS = ("case_token", "case_number", "revision_token", "items", "groups")


def request(case: Case, revision_token: str) -> None:
    """Ask for a revision; one that was asked for before is not asked for again. Database only."""
    row = SettlementPull(connection_id=case.connection_id, case=case, revision_token=revision_token.lower())
    SettlementPull.objects.bulk_create([row], ignore_conflicts=True)
    transaction.on_commit(partial(ring, queues.SETTLEMENTS), robust=True)


def fetch_again(cases: "QuerySet[Case]") -> int:
    """Ask for the settlements of the cases again, also for those that were fetched. Returns how many."""
    for settlement in Settlement.objects.filter(case__in=cases).exclude(revision_token="").select_related("case"):
        request(settlement.case, settlement.revision_token)
    pulls = SettlementPull.objects.filter(case__in=cases)
    workqueue.retry(pulls)
    # A revision that is there may have been read by an older version of ours: those too.
    pulls.filter(status=SettlementPull.Status.DONE).update(
        status=SettlementPull.Status.PENDING, attempts=0, finished_at=None, available_at=Now()
    )
    ring(queues.SETTLEMENTS)
    return pulls.filter(status=SettlementPull.Status.PENDING).count()


def ready() -> "QuerySet[SettlementPull]":
    """What may be pulled: that of connections that are on."""
    on = SettlementPull.objects.filter(connection__switch=Connection.Switch.ON)
    return on.select_related("connection", "case")


def pull(items: Sequence[SettlementPull]) -> None:
    """Pull claimed revisions, one after another."""
    for item in items:
        _pull(item)


def _pull(item: SettlementPull) -> None:
    """Fetch and read a claimed revision outside any transaction, then store it and finish in one."""
    try:
        facts = _read(client.settlement(item.connection, item.revision_token))
        _check(item, facts)
        with workqueue.finish(item):
            _store(item, facts)
    except LeaseLost:
        pass  # another worker has it, and will store the same
    except Exception as error:
        workqueue.fail(item, error)


def _read(content: bytes) -> told.Revision:
    try:
        facts = told.parse(strict_json.parse(content))
    except strict_json.BadJson as error:
        raise PermanentError(errors.UNREADABLE, str(error)) from error
    if facts is None:
        raise PermanentError(errors.UNREADABLE, "no settlementDetails")
    return facts


def _check(item: SettlementPull, facts: told.Revision) -> None:
    """An insurer names the revision, and could name another insurer's: its amounts must not show on this case."""
    if facts.revision_token not in ("", item.revision_token):
        raise PermanentError(errors.OTHER_SETTLEMENT, "another revision")
    # A token is written with and without a prefix ("ic.", "b.").
    ours, theirs = item.case.token.rpartition(".")[2], facts.case_token.rpartition(".")[2]
    same_token = ours == theirs or theirs == item.case.case_id
    if ours and theirs:
        right = same_token
    elif item.case.number and facts.case_number:
        right = item.case.number == facts.case_number
    else:
        right = same_token
    if not right:
        raise PermanentError(errors.OTHER_SETTLEMENT, "another case")


def _store(item: SettlementPull, facts: told.Revision) -> None:
    columns = {each.name: getattr(facts, each.name) for each in fields(facts) if each.name not in _NOT_COLUMNS}
    revision, _made = Revision.objects.update_or_create(
        connection=item.connection, revision_token=item.revision_token, defaults={**columns, "case": item.case}
    )
    revision.items.all().delete()
    revision.groups.all().delete()
    RevisionItem.objects.bulk_create(RevisionItem(revision=revision, **asdict(each)) for each in facts.items)
    RevisionGroup.objects.bulk_create(RevisionGroup(revision=revision, **asdict(each)) for each in facts.groups)
