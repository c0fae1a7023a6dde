"""The outcome of a test case, step by step."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from crm import formats
from scalepoint_integration.errors import Problem, describe
from scalepoint_integration.models import Case, ImagePull, InboundEvent
from scalepoint_integration.sending import notifications
from scalepoint_integration.test_cases.examples import UNKNOWN_TOKEN
from scalepoint_integration.test_cases.send import Sent


@dataclass(frozen=True, slots=True)
class Step:
    """``state`` is good, bad or wait. ``row`` is what there is to open, ``problem`` what went wrong."""

    state: str
    text: str
    row: Any = None
    problem: Problem | None = None


def steps(sent: Sent) -> list[Step]:
    """The way of the test case so far, in the order of the day."""
    refused = [code for status, code in sent.answers if status != 202]
    if refused:
        problem = describe(refused[0], {"last4": UNKNOWN_TOKEN[-4:]})
        return [Step("bad", gettext("Refused: %(what)s") % {"what": problem.what}, problem=problem)]
    events = list(InboundEvent.objects.filter(pk__in=sent.event_ids).defer("body").order_by("pk"))
    found = [
        Step("good", gettext("Received in %(seconds)s s") % {"seconds": formats.number(sent.seconds, 1)}, events[0])
    ]
    again = len(sent.answers) - len(sent.event_ids)
    if again:
        found.append(Step("good", gettext("Received again, and nothing was created twice"), events[0]))
    case = Case.objects.filter(events__in=events).select_related("insurer", "customer", "responsible").first()
    if case is None:
        return found + [_trouble(event) for event in events]
    found.append(Step("good", gettext("Case %(number)s") % {"number": case}, case))
    if case.insurer:
        found.append(Step("good", gettext("Insurance company %(name)s") % {"name": case.insurer}, case.insurer))
    if case.customer:
        found.append(Step("good", gettext("Customer %(name)s") % {"name": case.customer}, case.customer))
    for service in case.services.exclude(task=None).select_related("task"):
        found.append(Step("good", gettext("Task %(title)s") % {"title": service.task}, service.task))
    found += [_trouble(event) for event in events if event.status != InboundEvent.Status.DONE]
    found += _images(case)
    if not case.is_open:
        found.append(Step("good", gettext("The case was closed again: %(how)s") % {"how": case.get_status_display()}))
    for person in notifications.would_be_told(case) if case.customer else ():
        found.append(Step("good", gettext("Email to %(person)s (shown, not sent)") % {"person": person}))
    return found


def _trouble(event: InboundEvent) -> Step:
    if event.status == InboundEvent.Status.PENDING and not event.error_code:
        return Step("wait", gettext("It is waiting for its turn"), event)
    problem = describe(event.error_code, event.error_facts)
    state = "bad" if event.status == InboundEvent.Status.FAILED else "wait"
    return Step(state, gettext("Stopped: %(what)s") % {"what": problem.what}, event, problem)


def _images(case: Case) -> list[Step]:
    pulls = list(ImagePull.objects.filter(service__case=case))
    if not pulls:
        return []
    got = sum(pull.status == ImagePull.Status.DONE for pull in pulls)
    text = gettext("Images %(got)s of %(all)s") % {"got": got, "all": len(pulls)}
    bad = next((pull for pull in pulls if pull.status == ImagePull.Status.FAILED), None)
    return [Step("bad" if bad else "good", text, problem=describe(bad.error_code) if bad else None)]
