"""Test cases: through the very endpoint that Scalepoint calls, marked as a test, and taken away again.

>>> sent = send(connection, insurer, "water", by=user)
>>> [step.text for step in steps(sent)]

Nothing leaves the house for a test case: no mail, no call to Scalepoint. Its people are invented; the numbers that they
have are not given out in Denmark.
"""

import base64
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from django.core.handlers.wsgi import WSGIRequest
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_lazy
from PIL import Image, ImageDraw, ImageFont

from crm.models import Customer, InsuranceCompany
from scalepoint_integration import adapter, errors, images, inbox, notices, workqueue
from scalepoint_integration.api.views import TEST_MARK, EventView
from scalepoint_integration.errors import Problem, describe
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent
from tasks.models import Task

PREFIX = "TEST-"
# A stranger's address can't be this word: it tells our own refused tries from others'.
ADDRESS = "test"
UNKNOWN_TOKEN = "a-token-that-nobody-has-0000"  # noqa: S105  invented, and refused
# Two customers with one number, for the example that needs them.
TWINS_NUMBER = "01999999"
TWINS = ("TEST Alma Eksempelsen", "TEST Almar Eksempelsen")
_WAIT_SECONDS = 8.0
_KEPT = timedelta(days=1)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """``fails``: what is meant to go wrong. ``build`` makes the events of a case with that number."""

    label: Any
    shows: Any
    build: Callable[[str, InsuranceCompany], list[Event]]
    fails: bool = False
    unknown_token: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent and answered: the ids of the stored events, and the answers as (HTTP status, error code)."""

    case_number: str
    example: str
    answers: tuple[tuple[int, str], ...]
    event_ids: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Step:
    """``state`` is good, bad or wait. ``row`` is what there is to open, ``problem`` what went wrong."""

    state: str
    text: str
    row: Any = None
    problem: Problem | None = None


def send(connection: Connection, insurer: InsuranceCompany, example: str, *, keep: bool = False) -> Sent:
    """Post an example and see to it that it is worked off, at once. Raises ValueError where there is no such example
    and NoToken where the company has no valid token to send with."""
    if example not in EXAMPLES:
        raise ValueError(example)
    chosen = EXAMPLES[example]
    if example == "twins":
        _make_twins()
    token = UNKNOWN_TOKEN if chosen.unknown_token else adapter.security_token(insurer, timezone.now())
    if not token:
        raise NoToken(describe(errors.NO_VALID_TOKEN, {"company": insurer.name}))
    number = _next_number()
    begun = time.monotonic()
    answers = [post(connection, event, token) for event in chosen.build(number, insurer)]
    seconds = time.monotonic() - begun
    ids = tuple(dict.fromkeys(event["id"] for _status, body in answers for event in body.get("events", ())))
    _work_off(ids)
    if keep:
        Case.objects.filter(events__in=ids, is_test=True).update(test_kept=True)
    said = tuple((status, body.get("error", {}).get("code", "")) for status, body in answers)
    return Sent(number, example, said, ids, seconds)


class NoToken(Exception):
    """Holds the Problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def payloads(insurer: InsuranceCompany, example: str) -> list[Event]:
    """What would be sent, to be looked at: with the number that the next test case gets."""
    return EXAMPLES[example].build(_next_number(), insurer)


def post(connection: Connection, event: Event, token: str) -> tuple[int, dict[str, Any]]:
    """One delivery through the endpoint's own view. The status and the parsed answer."""
    body = json.dumps(event).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": reverse("scalepoint:endpoint", args=[connection.contract_number]) + "/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": ADDRESS,
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "https",
        TEST_MARK: True,
    }
    request = WSGIRequest(environ)
    # Nothing was encrypted, because nothing left the house.
    request.is_secure = lambda: True  # type: ignore[method-assign]
    response = EventView.as_view()(request, contract_number=connection.contract_number)
    return response.status_code, json.loads(response.content)


def _work_off(ids: Sequence[int]) -> None:
    """Handle these events and attach their images here and now; what a worker took first is waited for, bounded."""
    events = InboundEvent.objects.filter(pk__in=ids)
    inbox.run_now(events)
    deadline = time.monotonic() + _WAIT_SECONDS
    pulls = ImagePull.objects.filter(service__case__events__in=ids).distinct()
    waiting = events.filter(status=InboundEvent.Status.PENDING, error_code="")
    while time.monotonic() < deadline:
        here = ImagePull.objects.filter(pk__in=pulls.values("pk"), content__isnull=False)
        for pull in workqueue.claim(here, 20):
            images.pull(pull)
        loading = pulls.filter(status=ImagePull.Status.PENDING, error_code="")
        if not waiting.exists() and not loading.exists():
            return
        time.sleep(0.05)


# ---- What became of it --------------------------------------------------------------------------------------------
def steps(sent: Sent) -> list[Step]:
    """The way of the test case so far, in the order of the day."""
    refused = [code for status, code in sent.answers if status != 202]
    if refused:
        problem = describe(refused[0], {"last4": UNKNOWN_TOKEN[-4:]})
        return [Step("bad", gettext("Refused: %(what)s") % {"what": problem.what}, problem=problem)]
    events = list(InboundEvent.objects.filter(pk__in=sent.event_ids).defer("body").order_by("pk"))
    found = [
        Step("good", gettext("Received in %(seconds)s s") % {"seconds": number_format(sent.seconds, 1)}, events[0])
    ]
    again = len(sent.answers) - len(sent.event_ids)
    if again:
        found.append(Step("good", gettext("Came again, and nothing was made a second time"), events[0]))
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
    if case.status in (Case.Status.CLOSED, Case.Status.CANCELLED):
        found.append(Step("good", gettext("The case was closed again: %(how)s") % {"how": case.get_status_display()}))
    for person in notices.would_be_told(case) if case.customer else ():
        found.append(Step("good", gettext("Mail to %(person)s (shown, not sent)") % {"person": person}))
    return found


def _trouble(event: InboundEvent) -> Step:
    if event.status == InboundEvent.Status.PENDING and not event.error_code:
        return Step("wait", gettext("It waits for its turn"), event)
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


# ---- Taking them away ---------------------------------------------------------------------------------------------
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


# ---- The examples -------------------------------------------------------------------------------------------------
def _next_number() -> str:
    """TEST-0001 and so on."""
    taken = InboundEvent.objects.filter(source=InboundEvent.Source.TEST, case_number__startswith=PREFIX)
    last = taken.order_by("-pk").values_list("case_number", flat=True).first() or f"{PREFIX}0000"
    digits = last.removeprefix(PREFIX)
    return f"{PREFIX}{int(digits) + 1 if digits.isdecimal() else taken.count() + 1:04d}"


def _assignment(
    number: str, insurer: InsuranceCompany, damage: tuple[str, str, str], images: int = 0, phone: str | None = None
) -> Event:
    cause, kind, happened = damage
    case_id, now = str(uuid4()), timezone.now()
    own = f"01{int(uuid4().hex[:8], 16) % 900_000:06d}"
    home = {"street": "Eksempelvej 4", "postalCode": "0101", "city": "Eksempelby", "countryCode": "DK"}
    return {
        "eventType": "repair_service_requested",
        "payloadVersion": "1.0.0",
        "correlationId": str(uuid4()),
        "timestamp": now.isoformat(),
        "case": {
            "id": case_id,
            "number": number,
            "token": f"b.{case_id}",
            "url": f"https://scalepoint.example/case/{number}",
            "damageCause": cause,
            "damageCategory": f"{cause}skade",
            "damageType": kind,
            "damageDescription": happened,
            "responsibility": "Dækket efter policens vilkår.",
            "accidentDate": f"{now - timedelta(days=2):%Y-%m-%d}T00:00:00Z",
            "damageAddress": home,
            "policy": {
                "number": f"TEST{number[-4:]}",
                "insuranceCompany": {"alias": insurer.alias, "subcompanyAlias": insurer.sub_alias},
            },
        },
        "service": {"id": str(uuid4()), "referenceNumber": f"{number}-1", "description": "Besigtigelse og tilbud"},
        "policyHolder": {
            "name": "TEST Eksempelsen",
            "phoneNumber": own if phone is None else phone,
            "email": "test@post.example",
            "address": home,
        },
        "contacts": [{"role": "Vicevært", "name": "TEST Vicevært", "phoneNumber": "01000002"}],
        "images": [_picture(number, place) for place in range(1, images + 1)],
    }


_WATER = ("Vand", "Vandskade", "Et rør er sprunget under vasken, og trægulvet buler.")
_FIRE = ("Brand", "Brandskade", "Der har været ild i emhætten. Sod i køkken og stue.")


def _water(number: str, insurer: InsuranceCompany) -> list[Event]:
    return [_assignment(number, insurer, _WATER, images=8)]


def _fire(number: str, insurer: InsuranceCompany) -> list[Event]:
    return [_assignment(number, insurer, _FIRE, images=2)]


def _no_phone(number: str, insurer: InsuranceCompany) -> list[Event]:
    return [_assignment(number, insurer, _WATER, phone="")]


def _twins(number: str, insurer: InsuranceCompany) -> list[Event]:
    return [_assignment(number, insurer, _WATER, phone=TWINS_NUMBER)]


def _broken_image(number: str, insurer: InsuranceCompany) -> list[Event]:
    event = _assignment(number, insurer, _WATER, images=2)
    event["images"][1]["content"] = base64.b64encode(b"this is no picture").decode("ascii")
    return [event]


def _twice(number: str, insurer: InsuranceCompany) -> list[Event]:
    event = _assignment(number, insurer, _WATER, images=1)
    return [event, event]


def _closed(number: str, insurer: InsuranceCompany) -> list[Event]:
    event = _assignment(number, insurer, _WATER)
    closing = {
        "eventType": "claim_updated",
        "payloadVersion": "1.0.0",
        "correlationId": str(uuid4()),
        "timestamp": (timezone.now() + timedelta(seconds=1)).isoformat(),
        "case": {"number": number, "token": event["case"]["token"], "caseType": "PropertyClaim"},
        "changedBy": {"fullName": "TEST Sagsbehandler", "username": "test", "userType": "ClaimHandler"},
        "changes": [
            {
                "property": "CaseClosed",
                "isTerminated": True,
                "terminationReason": "NotCovered",
                "terminationReasonDescription": "",
            }
        ],
    }
    return [event, closing]


def _picture(number: str, place: int) -> dict[str, str]:
    """A picture that comes along inside the event, so that nothing has to be fetched from anywhere."""
    drawn = Image.new("RGB", (480, 360), ("#9fb8c8", "#d8c9a3", "#6f7f5c", "#c98f4e")[place % 4])
    text = f"{number}\nEksempel {place}"
    ImageDraw.Draw(drawn).multiline_text((24, 120), text, fill="#181412", font=ImageFont.load_default(44))
    out = io.BytesIO()
    drawn.save(out, "JPEG", quality=80)
    content = base64.b64encode(out.getvalue()).decode("ascii")
    return {"id": f"{number}-{place}", "fileName": f"eksempel-{place}.jpg", "content": content}


def _make_twins() -> None:
    """The two invented customers that share a number, for the example that needs them."""
    for name in TWINS:
        Customer.objects.get_or_create(customer_number=TWINS_NUMBER, name=name, defaults={"phone": TWINS_NUMBER})


EXAMPLES = MappingProxyType(
    {
        "water": Example(
            gettext_lazy("Water damage, 8 images"), gettext_lazy("An ordinary case: customer, task and images."), _water
        ),
        "fire": Example(gettext_lazy("Fire"), gettext_lazy("An ordinary case with two images."), _fire),
        "no_phone": Example(
            gettext_lazy("Without a telephone number"),
            gettext_lazy("The customer can't be found by the number; the customer rules say what happens."),
            _no_phone,
            fails=True,
        ),
        "twins": Example(
            gettext_lazy("A telephone number that two customers have"),
            gettext_lazy("The case waits until you have chosen the customer."),
            _twins,
            fails=True,
        ),
        "broken_image": Example(
            gettext_lazy("A broken image"),
            gettext_lazy("The case is made; the image is shown as failed."),
            _broken_image,
            fails=True,
        ),
        "twice": Example(
            gettext_lazy("The same case twice"), gettext_lazy("Scalepoint sends it again; you get one task."), _twice
        ),
        "closed": Example(
            gettext_lazy("The case is closed"), gettext_lazy("The insurance company closes the case again."), _closed
        ),
        "unknown_token": Example(
            gettext_lazy("Unknown security token"),
            gettext_lazy("It is refused, and stands among the refused tries."),
            _water,
            fails=True,
            unknown_token=True,
        ),
    }
)
