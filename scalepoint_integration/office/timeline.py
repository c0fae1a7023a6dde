"""What happened on a case, in order: events and their tries, what was said and sent, what the office changed.

Bounded, and a fixed number of queries however much happened.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm import history
from scalepoint_integration import events
from scalepoint_integration.errors import describe
from scalepoint_integration.handling import cases
from scalepoint_integration.models import Case, EventAttempt, ImagePull, InboundEvent, OutboundEvent
from scalepoint_integration.workqueue import QueueItem
from tasks.models import Task

# What people change that is worth a line.
_FIELDS = ("status", "insurer", "customer", "responsible", "team", "deadline", "is_test", "anonymised_at")


@dataclass(frozen=True, slots=True)
class Entry:
    """``icon`` is one of good, bad, wait, said, office; ``who`` is "" where nobody in the office did it."""

    at: datetime
    icon: str
    text: str
    who: str = ""
    event_id: int | None = None


def of(case: Case, limit: int = 200) -> list[Entry]:
    """The newest first."""
    found = [entry for source in _SOURCES for entry in source(case, limit)]
    return sorted(found, key=lambda entry: entry.at, reverse=True)[:limit]


def _events(case: Case, limit: int) -> Iterator[Entry]:
    rows = InboundEvent.objects.filter(case=case).defer("body").order_by("-pk")[:limit]
    for event in rows:
        name = events.words(event.event_type)
        yield Entry(event.received_at, "wait", _("Received: %(what)s") % {"what": name}, event_id=event.pk)
        if event.finished_at and event.status == QueueItem.Status.DONE:
            yield Entry(event.finished_at, "good", _("Handled: %(what)s") % {"what": name}, event_id=event.pk)
        if event.finished_at and event.status == QueueItem.Status.IGNORED:
            because = event.ignored_because or describe(event.error_code, event.error_facts).what
            yield Entry(event.finished_at, "wait", _("Ignored: %(why)s") % {"why": because}, event_id=event.pk)


def _tries(case: Case, limit: int) -> Iterator[Entry]:
    rows = EventAttempt.objects.filter(event__case=case).select_related("retried_by").order_by("-pk")[:limit]
    for row in rows:
        who = str(row.retried_by) if row.retried_by else ""
        text = describe(row.error_code, row.error_facts).what
        if who:
            text = _("%(what)s. Retried") % {"what": text}
        yield Entry(row.at, "bad", text, who, row.event_id)


def _messages(case: Case, limit: int) -> Iterator[Entry]:
    for row in case.messages.exclude(sent_at=None).order_by("-sent_at")[:limit]:
        if row.sent_at:
            sender, text = row.sender_name or row.sender_role or "?", (row.subject or row.content)[:200]
            yield Entry(row.sent_at, "said", _("Message from %(sender)s: %(text)s") % {"sender": sender, "text": text})


def _notes(case: Case, limit: int) -> Iterator[Entry]:
    for note in case.case_notes.order_by("-said_at")[:limit]:
        yield Entry(note.said_at, "said", note.text[:300] or str(note))
    for written in case.office_notes.select_related("author").order_by("-pk")[:limit]:
        who = str(written.author) if written.author else ""
        yield Entry(written.created_at, "office", _("Note: %(text)s") % {"text": written.text[:200]}, who)


def _sendings(case: Case, limit: int) -> Iterator[Entry]:
    rows = OutboundEvent.objects.filter(case=case).defer("content").select_related("created_by").order_by("-pk")
    for row in rows[:limit]:
        facts = {"what": row.get_kind_display(), "state": row.get_status_display()}
        who = str(row.created_by) if row.created_by else ""
        icon = {QueueItem.Status.DONE.value: "good", QueueItem.Status.FAILED.value: "bad"}.get(row.status, "wait")
        yield Entry(row.created_at, icon, _("To Scalepoint: %(what)s (%(state)s)") % facts, who)


def _images(case: Case, limit: int) -> Iterator[Entry]:
    rows = ImagePull.objects.filter(service__case=case).exclude(finished_at=None).values("status")
    for row in rows.annotate(count=Count("pk"), at=Max("finished_at")):
        if row["status"] == ImagePull.Status.DONE:
            yield Entry(
                row["at"], "good", ngettext("%d image fetched", "%d images fetched", row["count"]) % row["count"]
            )
        elif row["status"] == ImagePull.Status.FAILED:
            text = ngettext("%d image could not be fetched", "%d images could not be fetched", row["count"])
            yield Entry(row["at"], "bad", text % row["count"])


def _tasks(case: Case, limit: int) -> Iterator[Entry]:
    for task in Task.objects.filter(scalepoint_service__case=case).order_by("-pk")[:limit]:
        yield Entry(task.created_at, "good", _("Task %(number)s was created") % {"number": task.pk})


def _changes(case: Case, limit: int) -> Iterator[Entry]:
    """Each time it was saved with another value in one of the fields, in their words."""
    for save in history.saves(case, limit, _FIELDS, first=True):
        words = [f"{change.verbose_name}: {change.new}" for change in save.changes]
        if save.reason and save.reason not in cases.MARKED.values():
            words.append(save.reason)
        if words:
            yield Entry(save.at, "office", capfirst(" · ".join(words)), save.who)


_SOURCES = (_events, _tries, _messages, _notes, _sendings, _images, _tasks, _changes)
