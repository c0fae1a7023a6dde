"""The examples that can be sent: what each one shows, and the events it consists of. Its people are invented; the
numbers that they have are not given out in Denmark."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from django.utils import timezone
from django.utils.translation import gettext_lazy
from PIL import Image, ImageDraw, ImageFont

from crm.models import Customer, InsuranceCompany

UNKNOWN_TOKEN = "a-token-that-nobody-has-0000"  # noqa: S105  invented, and refused
# Two customers with one number, for the example that needs them.
TWINS_NUMBER = "01999999"
TWINS = ("TEST Alma Eksempelsen", "TEST Almar Eksempelsen")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """``fails``: what is meant to go wrong. ``build`` makes the events of a case with that number."""

    label: Any
    shows: Any
    build: Callable[[str, InsuranceCompany], list[Event]]
    fails: bool = False
    unknown_token: bool = False


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


def make_twins() -> None:
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
            gettext_lazy("Without a phone number"),
            gettext_lazy("The customer can't be found by the number; the customer rules decide what happens."),
            _no_phone,
            fails=True,
        ),
        "twins": Example(
            gettext_lazy("A phone number that two customers share"),
            gettext_lazy("The case waits until you have chosen the customer."),
            _twins,
            fails=True,
        ),
        "broken_image": Example(
            gettext_lazy("A broken image"),
            gettext_lazy("The case is created; the image is shown as failed."),
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
            gettext_lazy("It is refused, and is listed under refused requests."),
            _water,
            fails=True,
            unknown_token=True,
        ),
    }
)
