"""Open or closed: what Scalepoint said of it, whatever order it was said in, and in which words the office reads it.

``Case.lifecycle`` keeps the newest closing, the newest reopening, and which of the two was last acted on. The case is
closed if the closing is newer than the reopening. At the very same time the reopening counts, because there is nothing
to reopen before a closing; of two closings at the same time the one that comes later in the alphabet. So the end never
depends on what arrived first.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.dispatch import Signal
from django.utils.translation import gettext, gettext_noop

from scalepoint_integration import signals
from scalepoint_integration.models import Case
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.claim import ClaimUpdate, Closed, parse

Lifecycle = dict[str, Any]

# Scalepoint's ten reasons, as they write them, and what the office reads.
REASONS = {
    "None": gettext_noop("Closed normally"),
    "NotCovered": gettext_noop("Not covered"),
    "BelowDeductible": gettext_noop("Below the deductible"),
    "CreatedByMistake": gettext_noop("Created by mistake"),
    "Other": gettext_noop("Other"),
    "PhoneInspection": gettext_noop("Inspected by phone"),
    "NotCoveredAfterInspection": gettext_noop("Not covered after inspection"),
    "PaidInOwnSystem": gettext_noop("Paid in the company's own system"),
    "Inactivity": gettext_noop("Closed due to inactivity"),
    "CustomReason": "",  # the company's own words
}
_KNOWN = {reason.casefold(): reason for reason in REASONS}


def merge(lifecycle: Mapping[str, Any], closed: Closed | None, reopened: bool, at: datetime) -> Lifecycle:
    """The life cycle after this was said at that time. Pure."""
    merged: Lifecycle = dict(lifecycle)
    when = at.astimezone(UTC).isoformat(timespec="microseconds")
    for name, said in (("closed", asdict(closed) if closed else None), ("reopened", {} if reopened else None)):
        if said is not None:
            merged[name] = max(({"at": when, **said}, merged.get(name, {})), key=_age)
    return merged


def details(body: bytes) -> str:
    """What an event says of the case, in the reader's language: "Case closed (Not covered)". "" where it can't be
    read. Pure."""
    try:
        update = parse(strict_json.parse(body))
    except strict_json.BadJson:
        return ""
    if update.closed:
        reason = in_words({"reason": update.closed.reason, "description": update.closed.description})
        return gettext("Case closed (%(reason)s)") % {"reason": reason}
    return gettext("Case reopened") if update.reopened else gettext("Claim changed")


def older(lifecycle: Mapping[str, Any], said: ClaimUpdate, at: datetime) -> list[bool]:
    """For a closing or reopening that was said at that time: whether a newer one is known. ``lifecycle`` is the merged
    one. Pure."""
    when = at.astimezone(UTC).isoformat(timespec="microseconds")
    told = (("closed", said.closed is not None), ("reopened", said.reopened))
    return [lifecycle[name]["at"] > when for name, is_said in told if is_said]


def join(one: Mapping[str, Any], two: Mapping[str, Any]) -> Lifecycle:
    """The life cycle of two cases that are one; what was acted on is the first one's. Pure."""
    told = {name: max(one.get(name, {}), two.get(name, {}), key=_age) for name in ("closed", "reopened")}
    return {**one, **{name: said for name, said in told.items() if said}}


def closing(lifecycle: Mapping[str, Any]) -> dict[str, Any] | None:
    """The closing that holds, None while the case is open. Pure."""
    closed: dict[str, Any] | None = lifecycle.get("closed")
    return closed if closed and closed["at"] > lifecycle.get("reopened", {}).get("at", "") else None


def in_words(closed: Mapping[str, Any]) -> str:
    """Why it was closed, in the reader's language. A reason that is not known is told as Scalepoint writes it."""
    written = closed.get("reason") or "None"
    reason = _KNOWN.get(written.casefold())
    words = written if reason is None else gettext(REASONS[reason]) if REASONS[reason] else ""
    said = [words, closed.get("description", ""), closed.get("message", "")]
    return ": ".join(dict.fromkeys(part for part in said if part))


def advance(case: Case) -> Signal | None:
    """Bring the status of a case in line with its life cycle, once for each closing and reopening: what a person
    chose after that stays. Returns the signal to announce, None if nothing new holds."""
    closed = closing(case.lifecycle)
    if closed:
        status = Case.Status.CANCELLED if closed["terminated"] else Case.Status.CLOSED
        holds, signal = f"{status} {closed['at']}", signals.case_closed
    elif "reopened" in case.lifecycle:
        holds, signal = f"reopened {case.lifecycle['reopened']['at']}", signals.case_reopened
        begun = case.services.exclude(task=None).exists()
        status = Case.Status.IN_PROGRESS if begun else Case.Status.NEW
        if case.problem_code:
            status = Case.Status.NEEDS_ACTION
    else:
        return None
    if case.lifecycle.get("holds") == holds:
        return None
    case.lifecycle = {**case.lifecycle, "holds": holds}
    case.status = status
    return signal


def _age(said: Mapping[str, Any]) -> tuple[str, bytes]:
    return said.get("at", ""), strict_json.canonical(said)
