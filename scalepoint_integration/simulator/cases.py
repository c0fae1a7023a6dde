"""Invented cases, as Scalepoint would send them. The same seed gives the same cases.

Nobody in them exists, and nobody could be called by mistake: the surname is Eksempelsen, telephone numbers begin with
01 and postal codes with 01, which Denmark has not given out, and names of hosts end in ``.example``.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any
from uuid import UUID

from scalepoint_integration.simulator.pictures import SMALL, draw

# A fixed day, so that a seed always says the same; not that of the documented examples, which people post by hand.
DAY = date(2031, 6, 12)
MOST_IMAGES = 8
# Every so many: a case with the documented facts and a telephone number alone; an image that comes inside the event.
MINIMAL_EVERY = 10
INLINE_EVERY = 6

_GIVEN = ("Anna", "Bo", "Cæcilie", "Dorthe", "Erik", "Frøja", "Gorm", "Åse", "Øjvind", "Søren", "Kirsten", "Mads")
_STREETS = ("Eksempelvej", "Prøvegade", "Opdigtet Allé", "Ingenstedsvej", "Påfundsstræde", "Øvelsesbakken")
_CITIES = (("0101", "Eksempelby"), ("0120", "Prøvestad"), ("0145", "Nørre Opdigt"), ("0160", "Ingensted Ø"))
_ROLES = ("Vicevært", "Taksator", "Lejer", "Nabo", "Ejendomsadministrator")
# Cause, category, type, what happened, who pays for what.
_DAMAGES = (
    ("Storm", "Stormskade", "Tag", "Tagsten er blæst af, og det regner ind på loftet.", "Dækket. Selvrisiko 3.210 kr."),
    ("Brand", "Brandskade", "Køkken", "Brand i emhætten. Sod i køkken og stue.", "Dækket fuldt ud."),
    ("Vand", "Vandskade", "Gulv", "Rør sprunget under vasken; trægulvet buler.", "Dækket bortset fra selve røret."),
    ("Indbrud", "Indbrudsskade", "Dør", "Hoveddøren er brudt op, karmen er flækket.", "Dækket. Selvrisiko 1.500 kr."),
    ("Frost", "Frostskade", "Rør", "Udvendig hane frosset og sprængt.", "Afventer selskabets afgørelse."),
    ("Hagl", "Haglskade", "Ovenlys", "To ovenlysvinduer knust af hagl.", "Dækket. Afskrivning 20 %."),
    ("Påkørsel", "Påkørselsskade", "Mur", "En lastbil har bakket ind i gavlen.", "Regres mod modparten."),
    ("Svamp", "Svampeskade", "Bjælkelag", "Gulvet giver efter ved ydervæggen.", "Kun undersøgelsen er dækket."),
)
_SUMMER = timezone(timedelta(hours=2))


@dataclass(frozen=True, slots=True)
class Case:
    """``event`` is what is posted, with the insurer's ``token``; the rest is what a report tells of it."""

    event: dict[str, Any]
    case_number: str
    service_id: str
    images: int
    token: str


def make_cases(
    count: int, seed: int | str, insurers: Sequence[Mapping[str, str]], images_url: str, day: date = DAY
) -> Iterator[Case]:
    """``count`` cases of these insurers (``name``, ``alias``, ``sub_alias``, ``token``). Their images are to be had
    under ``images_url``, "http://127.0.0.1:8900/images". No two cases share a policyholder, and so no customer."""
    chance = Random(f"cases {seed}")  # noqa: S311  examples, not secrets
    phones = chance.randrange(1_000_000)
    for index in range(count):
        # 01 and six digits: a stride that shares no factor with a million meets none twice before it met all.
        phone = f"01{(phones + index * 7919) % 1_000_000:06d}"
        insurer = insurers[chance.randrange(len(insurers))]
        yield _make_case(chance, index, insurer, phone, images_url.rstrip("/"), day)


def _make_case(chance: Random, index: int, insurer: Mapping[str, str], phone: str, images_url: str, day: date) -> Case:
    number = f"{day:%Y%m%d}-{index + 1:02d}"
    cause, category, kind, happened, responsibility = chance.choice(_DAMAGES)
    ordered = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(seconds=index * 7, milliseconds=340)
    start = ordered + timedelta(days=chance.randint(1, 9), minutes=chance.randrange(600))
    case_id = _uuid(chance)
    case: dict[str, Any] = {
        "id": case_id,
        "damageCause": cause,
        "damageCategory": category,
        "policy": {
            "insuranceCompany": {
                "alias": insurer["alias"],
                "subcompanyAlias": insurer["sub_alias"],
                "subcompanyName": insurer["name"],
            }
        },
        "number": number,
        "externalId": _uuid(chance),
    }
    service = {
        "referenceNumber": f"{number}-{chance.randint(1, 3)}",
        "id": _uuid(chance),
        "startDate": _moment(start, 1),
        "endDate": _moment(start + timedelta(hours=chance.randint(1, 30)), 1),
    }
    event: dict[str, Any] = {
        "eventType": "repair_service_requested",
        "payloadVersion": "1.0.0",
        "correlationId": _uuid(chance),
        "timestamp": _moment(ordered, index),
        "case": case,
        "service": service,
        "policyHolder": {"phoneNumber": phone},
    }
    if index % MINIMAL_EVERY != MINIMAL_EVERY - 1:
        home = _address(chance)
        case |= {
            "token": f"b.{case_id}",
            "url": f"https://scalepoint.example/case/{case_id}",
            "damageType": kind,
            "damageDescription": happened,
            "responsibility": responsibility,
            "accidentDate": f"{day - timedelta(days=chance.randint(1, 20))}T00:00:00Z",
            "damageAddress": _address(chance) if chance.random() < 0.4 else home,
        }
        case["policy"]["number"] = f"EX{chance.randrange(10**5):05d}{index:05d}"
        service["description"] = f"{kind}: besigtigelse og tilbud"
        event["policyHolder"] = _person(chance, index, phone) | {"address": home}
        event["contacts"] = [_contact(chance, index, place) for place in range(chance.choice((0, 0, 1, 1, 2, 3)))]
        event["images"] = [
            _image(chance, f"{number}-{place + 1}-{case_id[:8]}", images_url)
            for place in range(chance.choice((0, 1, 2, 2, 3, 3, 4, 5, 6, MOST_IMAGES)))
        ]
    return Case(event, number, service["id"], len(event.get("images", ())), insurer["token"])


def _person(chance: Random, index: int, phone: str) -> dict[str, Any]:
    given = chance.choice(_GIVEN)
    return {
        "name": f"{given} Eksempelsen",
        "phoneNumber": chance.choice((phone, f"+45{phone}", f"{phone[:2]} {phone[2:4]} {phone[4:6]} {phone[6:]}")),
        "mobileNumber": "",
        "email": f"eksempelsen.{index + 1}@post.example",
    }


def _contact(chance: Random, index: int, place: int) -> dict[str, Any]:
    role = chance.choice(_ROLES)
    # Of the unassigned 01 too; that a contact shares a policyholder's number makes nobody's customer.
    person = _person(chance, index, f"01{chance.randrange(1_000_000):06d}")
    person["email"] = f"kontakt.{index + 1}.{place + 1}@post.example"
    return {"role": role, **person, "address": _address(chance) if chance.random() < 0.5 else {}}


def _address(chance: Random) -> dict[str, str]:
    postal_code, city = chance.choice(_CITIES)
    floor = chance.choice(("", "", "", "1. tv.", "st. th."))
    street = f"{chance.choice(_STREETS)} {chance.randint(1, 199)}"
    return {"street": street, "street2": floor, "postalCode": postal_code, "city": city, "countryCode": "DK"}


def _image(chance: Random, name: str, images_url: str) -> dict[str, str]:
    kind, ending = chance.choice((("JPEG", "jpg"),) * 3 + (("PNG", "png"),))
    image = {"id": _uuid(chance), "fileName": f"{name}.{ending}"}
    if chance.randrange(INLINE_EVERY) == 0:
        return image | {"content": base64.b64encode(draw(name, kind, SMALL)).decode("ascii")}
    return image | {"fileType": f"image/{kind.lower()}", "url": f"{images_url}/{name}.{ending}"}


def _uuid(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def _moment(moment: datetime, shape: int) -> str:
    """A time in one of the shapes that Scalepoint's documentation shows."""
    local = moment.astimezone(_SUMMER)
    shapes = (
        f"{local:%Y-%m-%dT%H:%M:%S.%f}0+02:00",
        f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z",
        f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z",
        f"{local:%Y-%m-%dT%H:%M:%S}+0200",
        f"{moment:%Y-%m-%dT%H:%M:%S}Z",
    )
    return shapes[shape % len(shapes)]
