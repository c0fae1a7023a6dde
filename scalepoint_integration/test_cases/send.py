"""Send an example through the very endpoint that Scalepoint calls, marked as a test, and handle it immediately."""

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.urls import reverse
from django.utils import timezone

from crm.models import InsuranceCompany
from scalepoint_integration import adapter, errors, workqueue
from scalepoint_integration.errors import Problem, describe
from scalepoint_integration.fetching import images
from scalepoint_integration.handling import run
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent
from scalepoint_integration.receiving.endpoint import TEST_MARK, EventView
from scalepoint_integration.test_cases.examples import EXAMPLES, UNKNOWN_TOKEN, Event, make_twins

PREFIX = "TEST-"
# A stranger's address can't be this word: it tells our own refused tries from others'.
ADDRESS = "test"
_WAIT_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent and answered: the ids of the stored events, and the answers as (HTTP status, error code)."""

    case_number: str
    example: str
    answers: tuple[tuple[int, str], ...]
    event_ids: tuple[int, ...]
    seconds: float


def send(connection: Connection, insurer: InsuranceCompany, example: str, *, keep: bool = False) -> Sent:
    """Post an example and see to it that it is worked off, at once. Raises ValueError where there is no such example
    and NoToken where the company has no valid token to send with."""
    if example not in EXAMPLES:
        raise ValueError(example)
    chosen = EXAMPLES[example]
    if example == "twins":
        make_twins()
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
    run.run_now(events)
    deadline = time.monotonic() + _WAIT_SECONDS
    pulls = ImagePull.objects.filter(service__case__events__in=ids).distinct()
    waiting = events.filter(status=InboundEvent.Status.PENDING, error_code="")
    while time.monotonic() < deadline:
        here = ImagePull.objects.filter(pk__in=pulls.values("pk"), content__isnull=False)
        images.pull(workqueue.claim(here, 20))
        loading = pulls.filter(status=ImagePull.Status.PENDING, error_code="")
        if not waiting.exists() and not loading.exists():
            return
        time.sleep(0.05)


def _next_number() -> str:
    """TEST-0001 and so on."""
    taken = InboundEvent.objects.filter(source=InboundEvent.Source.TEST, case_number__startswith=PREFIX)
    last = taken.order_by("-pk").values_list("case_number", flat=True).first() or f"{PREFIX}0000"
    digits = last.removeprefix(PREFIX)
    return f"{PREFIX}{int(digits) + 1 if digits.isdecimal() else taken.count() + 1:04d}"
