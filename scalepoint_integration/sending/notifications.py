"""Who is told what by mail: written in the transaction of its cause, sent later, once.

>>> about_case(case)             # new: to the responsible user, else to the team
>>> send(claimed)                # one mail for claimed rows of one person and kind

Mails hold what it takes to find the case and no person's data: they travel in clear. Delivery is at least once: a
worker that dies between the mail and its mark sends it again.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import translation

from scalepoint_integration import errors, queues, workqueue
from scalepoint_integration.conf import conf
from scalepoint_integration.errors import describe
from scalepoint_integration.models import Case, CaseMessage, Connection, InboundEvent, Notice, UserSettings
from scalepoint_integration.workqueue import LeaseLost, RetryableError
from scalepoint_integration.workqueue.doorbell import ring

logger = logging.getLogger(__name__)

Kind = Notice.Kind
# Failures come in swarms: the first waits this long for the others, and they go out as one mail.
FAILURES_WAIT = timedelta(minutes=5)
_MOST_HURRIED = 500
# In a mail's list; how many there are is said above it.
_SHOWN = 50


# ---- Written with its cause ---------------------------------------------------------------------------------------
def about_case(case: Case) -> None:
    """A case is new. A test is told to nobody."""
    _write(recipients(case), Kind.NEW_CASE, f"case {case.pk}", case)


def about_message(message: CaseMessage) -> None:
    """A message has come on a case: to who is responsible for it."""
    case = message.case
    wanted = _wanting("tell_message", [case.responsible] if case.responsible else [])
    _write([] if case.is_test else wanted, Kind.MESSAGE, f"message {message.pk}", case)


def about_failure(event: InboundEvent, code: str, facts: Mapping[str, Any]) -> None:
    """An event needs a person. Once for each time it fails for good."""
    if event.source == InboundEvent.Source.TEST:
        return
    said = {"code": code, "facts": dict(facts), "event": event.pk, "number": event.case_number}
    people = _those_who_are_told(event.connection, "tell_failures")
    _write(people, Kind.FAILURE, f"event {event.pk} {event.claims}", event.case, said, FAILURES_WAIT)


def about_silence(connection: Connection, insurer: Any, days: int, since: str) -> None:
    """An insurance company has been silent for ``days`` working days; once for each silence, which ``since`` (the day
    of its last event, in ISO) names."""
    said = {"insurer": str(insurer), "days": days, "since": since}
    people = _those_who_are_told(connection, "tell_silence")
    _write(people, Kind.SILENCE, f"silence {insurer.pk} {since}", None, said)


def recipients(case: Case) -> list[Any]:
    """Who is told of a new case: the responsible user, else those of its team."""
    if case.is_test:
        return []
    return would_be_told(case)


def would_be_told(case: Case) -> list[Any]:
    """The same, as if the case were no test."""
    # A case that waits in the inbox has neither yet: it is for those who would get its task.
    default_values = case.connection.default_values
    responsible, team = case.responsible or default_values.responsible, case.team or default_values.team
    if responsible:
        return _wanting("tell_new_case", [responsible])
    return _wanting("tell_team_case", team.members.all() if team else [])


def _those_who_are_told(connection: Connection, wish: str) -> list[Any]:
    return _wanting(wish, connection.default_values.failure_recipients.all())


def _wanting(wish: str, people: Iterable[Any]) -> list[Any]:
    """Of these people those who work here, have an address, and did not switch this off."""
    there = [person for person in people if person.is_active and _address(person)]
    if not there:
        return []
    off = set(UserSettings.objects.filter(user__in=there, **{wish: False}).values_list("user", flat=True))
    return [person for person in there if person.pk not in off]


def _address(person: Any) -> str:
    return str(getattr(person, get_user_model().get_email_field_name(), "") or "")


def _write(
    people: Iterable[Any],
    kind: str,
    key: str,
    case: Case | None,
    facts: Mapping[str, Any] | None = None,
    wait: timedelta = timedelta(),
) -> None:
    rows = [
        Notice(user=person, kind=kind, key=key, case=case, facts=dict(facts or {}), available_at=Now() + wait)
        for person in people
    ]
    if not rows:
        return
    Notice.objects.bulk_create(rows, ignore_conflicts=True)
    if not wait:
        transaction.on_commit(partial(ring, queues.NOTICES), robust=True)


# ---- Sent later ---------------------------------------------------------------------------------------------------
def ready() -> "QuerySet[Notice]":
    """What may be sent: everything."""
    return Notice.objects.select_related("user")


def retry(rows: "QuerySet[Notice]") -> int:
    """Resend failed mails. Returns how many."""
    count = workqueue.retry(rows)
    ring(queues.NOTICES)
    return count


def send(group: Sequence[Notice]) -> None:
    """One mail for claimed notices of one person and one kind."""
    group = list(group)
    if group[0].kind == Kind.FAILURE:
        # What failed meanwhile goes along: it would be the next mail otherwise.
        group += _hurry(group[0].user_id)
    try:
        with translation.override(settings.LANGUAGE_CODE):
            message = _mail(group)
        message.send()
    except Exception as error:
        for item in group:
            workqueue.fail(item, RetryableError(type(error).__name__, error=errors.MAIL_NOT_SENT))
        logger.warning("%d notices could not be mailed: %s", len(group), type(error).__name__)
        return
    for item in group:
        try:
            with workqueue.finish(item):
                pass
        except LeaseLost:
            logger.info("Notice %s was sent by somebody else too", item.pk)


def _hurry(user: int) -> list[Notice]:
    """Claim the failures that wait for others."""
    failures = ready().filter(kind=Kind.FAILURE, user=user)
    failures.filter(status=Notice.Status.PENDING, attempts=0).update(available_at=Now())
    return workqueue.claim(failures, _MOST_HURRIED)


def _mail(group: list[Notice]) -> EmailMessage:
    kind, person = group[0].kind, group[0].user
    known = Case.objects.select_related("insurer").in_bulk([item.case_id for item in group if item.case_id])
    lines = [_line(item, known.get(item.case_id)) for item in group]
    context = {
        "lines": lines[:_SHOWN],
        "more": len(lines) - _SHOWN if len(lines) > _SHOWN else 0,
        "count": len(lines),
        "only": lines[0],
    }
    subject = render_to_string(f"scalepoint/mails/{kind}_subject.txt", context)
    body = render_to_string(f"scalepoint/mails/{kind}.txt", context)
    return EmailMessage(" ".join(subject.split()), body.strip() + "\n", to=[_address(person)])


def _line(item: Notice, case: Case | None) -> dict[str, Any]:
    facts = item.facts
    line: dict[str, Any] = {"case": case, "url": _url("case", case.pk) if case else "", **facts}
    if case:
        line |= {"damage": case.known.damage, "city": case.known.place.city}
    if item.kind == Kind.FAILURE:
        line |= {"problem": describe(facts["code"], facts["facts"]), "url": _url("inboundevent", facts["event"])}
    return line


def _url(model: str, pk: int) -> str:
    """Under the public address of the site; without one, the path alone."""
    try:
        path = reverse(f"admin:scalepoint_integration_{model}_change", args=[pk])
    except NoReverseMatch:  # a host that left that page out
        return ""
    return conf().public_base_url.rstrip("/") + path
