"""Whole stories: every event that is documented, around one invented case. The same seed tells the same ones.

A story is: the case is made, the craftsman is asked, all sorts of things happen, money is paid, the case is closed
(over ten stories for each of the ten reasons) and, in every other story, opened again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any

from scalepoint_integration.simulator import happenings
from scalepoint_integration.simulator.case_settled import case_settled
from scalepoint_integration.simulator.cases import DAY, Case, make_cases
from scalepoint_integration.simulator.happenings import Event, Tale

# The three ways in which the documents show events; "with id" is the one of long-polling.
WRAPPINGS = ("flat", "with id", "without id")
_SUMMER = timezone(timedelta(hours=2))


@dataclass(frozen=True, slots=True)
class Story:
    """``events`` are flat and in order. ``case`` is the assignment: ``events[1]``, after case_created."""

    case: Case
    events: list[Event]


def make_stories(
    count: int, seed: int | str, insurers: Sequence[Mapping[str, str]], images_url: str, day: date = DAY
) -> Iterator[Story]:
    """``count`` stories about the cases that ``make_cases`` makes of the same arguments."""
    chance = Random(f"stories {seed}")  # noqa: S311  examples, not secrets
    for index, case in enumerate(make_cases(count, seed, insurers, images_url, day)):
        yield Story(case, _tell(Tale(Random(chance.getrandbits(64)), index, case.event, images_url.rstrip("/"))))  # noqa: S311


def wrap(event: Mapping[str, Any], wrapping: str = "flat", number: int = 0) -> dict[str, Any]:
    """An event in one of WRAPPINGS. The wrapper has a time of its own: the queue's, some seconds later."""
    if wrapping == "flat":
        return dict(event)
    if wrapping not in WRAPPINGS:
        raise ValueError(f"There is no wrapping {wrapping!r}.")
    later = datetime.fromisoformat(event["timestamp"]).astimezone(UTC) + timedelta(seconds=3)
    outer = {"id": f"_{number + 1}"} if wrapping == "with id" else {}
    moment = f"{later:%Y-%m-%dT%H:%M:%S.%f}123Z"
    return {**outer, "type": event["eventType"], "timestamp": moment, "attributes": dict(event)}


def _tell(tale: Tale) -> list[Event]:
    assigned = datetime.fromisoformat(tale.assignment["timestamp"])
    events: list[Event] = []

    def add(event: Event, minutes: int) -> Event:
        """With the header: correlationId is the case's own, as in ClaimShop, and so the same for all of them."""
        moment = assigned + timedelta(minutes=minutes, milliseconds=tale.chance.randrange(1000))
        header = {
            "eventType": event["eventType"],
            "payloadVersion": event.get("payloadVersion", "1.0.0"),
            "correlationId": tale.uuid,
            "timestamp": moment_text(moment, tale.index + tale.step),
        }
        events.append(header | event)
        tale.step += 1
        return events[-1]

    add(happenings.case_created(tale), -10)
    events.append(tale.assignment)
    for make in happenings.MIDDLE:
        add(make(tale), tale.step * 60)
    added = add(happenings.attachments_updated(tale), tale.step * 60)
    add(happenings.attachments_updated(tale), tale.step * 60)
    add(happenings.attachments_updated(tale, added), tale.step * 60)
    accident = {"property": "AccidentDate", "newValue": "2031-06-03T00:00:00Z", "oldValue": "2031-06-01T00:00:00Z"}
    add(happenings.claim_updated(tale, accident), tale.step * 60)
    extra = {"property": "AdditionalClaimFields", "field": "Byggeår", "newValue": "1974", "oldValue": None}
    add(happenings.claim_updated(tale, extra), tale.step * 60)
    add(case_settled(tale), tale.step * 60)
    closed = add(happenings.case_closed(tale), tale.step * 60)
    schemas = {
        "$schema": "./schemas/claim_updated_payload.json",
        "$schema_base": "./schemas/event_envelope.schema.json",
    }
    events[-1] = schemas | closed
    if tale.index % 2:
        add(happenings.claim_updated(tale, {"property": "CaseReopened"}), tale.step * 60)
    return events


def moment_text(moment: datetime, shape: int) -> str:
    """A time in one of the shapes that the documents show."""
    world, local = moment.astimezone(UTC), moment.astimezone(_SUMMER)
    shapes = (
        f"{local:%Y-%m-%dT%H:%M:%S.%f}0+02:00",
        f"{world:%Y-%m-%dT%H:%M:%S.%f}0Z",
        f"{world:%Y-%m-%dT%H:%M:%S.%f}000Z",
        f"{world:%Y-%m-%dT%H:%M:%S.%f}Z",
        f"{world:%Y-%m-%dT%H:%M:%S.%f}0+00:00",
        f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03d}+0200",
        f"{local:%Y-%m-%dT%H:%M:%S}+0200",
        f"{world:%Y-%m-%dT%H:%M:%S}Z",
    )
    return shapes[shape % len(shapes)]
