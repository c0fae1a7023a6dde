"""``GET /webapp/ScalePoint/<country>/case/<tenant>/revision/<token>``: an invented settlement. The same token gives
the same one, and over many tokens every word of every enumeration comes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any
from uuid import UUID

from scalepoint_integration.simulator.api import Answer, Call, Refused
from scalepoint_integration.simulator.submitted import is_guid

ACCEPT = "application/vnd.scalepoint.content.settlement.v3+json"
STATUSES = ("SETTLED", "IN_PROGRESS", "LOCKED", "CANCELLED", "CLOSED_EXTERNAL")
TYPES = (
    "SETTLED_EXTERNALLY",
    "SETTLED_WITH_EMAIL",
    "SETTLED_WITHOUT_EMAIL",
    "SETTLED_FOR_REPLACEMENT",
    "CANCELLED",
    "UNKNOWN",
)
ITEM_STATUSES = ("DRAFT", "SETTLED", "REPAIRED", "REJECTED")
GROUP_TYPES = ("OVERVIEW", "VALUATION", "VOUCHER")
# Category, sub-category, brand, what it is.
_THINGS = (
    ("Telefoni", "Mobiltelefoner", "Eksempelfon", "Eksempelfon 7, 64 GB, sort"),
    ("Hvidevarer", "Vaskemaskiner", "Opdigt", "Opdigt W100 vaskemaskine, 8 kg"),
    ("Møbler", "Sofaer", "Prøvebo", "Prøvebo hjørnesofa, grå"),
    ("Cykler", "Elcykler", "Påfund", "Påfund elcykel, 7 gear"),
    ("Ure", "Armbåndsure", "Ingenfabrik", "Ingenfabrik armbåndsur, stål"),
)


def give_settlement(call: Call, country: str, tenant: str, token: str) -> Answer:
    call.require("platform-case:read")
    call.check_tenant(tenant)
    call.told["token"] = token
    if call.header("Accept") != ACCEPT:
        raise Refused(406, "another Accept header")
    with call.state.changed:
        given = call.state.known.settlements.get(token.casefold())
        whose = call.state.known.revisions.get(token.casefold())
    if isinstance(given, int):
        raise Refused(given, "told to fail")
    if given is None and whose is None and not is_guid(token):
        raise Refused(404, "no such revision")
    return Answer(200, given or make_settlement(token, whose), ACCEPT)


def make_settlement(token: str, whose: Mapping[str, str] | None = None) -> dict[str, Any]:
    """``whose``: the token and number of its case; else they are invented too."""
    chance = Random(f"settlement {token.casefold()}")  # noqa: S311  an example, not a secret
    groups = [
        {
            "internalId": str(number + 1),
            "amount": 0.0,
            "name": f"Gruppe {number + 1}",
            "type": chance.choice(GROUP_TYPES),
        }
        for number in range(chance.choice((0, 1, 2, 3)))
    ]
    items = [_item(chance, groups) for _ in range(chance.randint(1, 5))]
    for group in groups:
        within = [item for item in items if item.get("group") == {"internalId": group["internalId"]}]
        group["amount"] = _sum(within, "replacementAmount")
    total = _sum(items, "replacementAmount")
    deductible = float(chance.choice((0, 500, 1500, 3210)))
    manual = float(chance.choice((0, 0, 100)))
    applied = min(deductible, total)
    reduced = min(manual, total - applied)
    left = round(total - applied - reduced, 2)
    moment = datetime(2031, 6, 20, 9, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**6), milliseconds=620)
    local = moment.astimezone(timezone(timedelta(hours=2)))
    case = {"token": _uuid(chance).upper(), "number": f"EX{chance.randrange(10**7):07d}"}
    return {
        "case": {**(case if whose is None else whose), "policyNumber": f"EX{chance.randrange(10**8):08d}"},
        "settlementDetails": {
            "revisionToken": token,
            "status": chance.choice(STATUSES),
            "approvedBy": "eksempel",
            "timestamp": f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond // 1000:03d}+0200",
            "settlementType": chance.choice(TYPES),
            "repairAmount": float(chance.choice((0, 0, 850))),
            "subTotalAmount": total,
            "policyDeductible": deductible,
            "appliedDeductible": applied,
            "depreciation": _sum(items, "depreciationAmount"),
            "overallManualReduction": manual,
            "appliedManualReduction": reduced,
            "replacementAmount": left,
            "cashCompensation": left,
            "invoiceAmount": float(chance.choice((0, 0, 1250))),
            "items": items,
            "groups": groups,
        },
    }


def _item(chance: Random, groups: list[dict[str, Any]]) -> dict[str, Any]:
    category, kind, brand, description = chance.choice(_THINGS)
    price = chance.randrange(20_000, 2_000_000) / 100
    percentage = float(chance.choice((0, 10, 25, 50)))
    depreciation = round(price * percentage / 100, 2)
    item: dict[str, Any] = {
        "category": category,
        "subCategory": kind,
        "subCategoryToken": _uuid(chance).upper(),
        "description": description,
        "itemId": _uuid(chance).upper(),
        "depreciationPercentage": percentage,
        "depreciationAmount": depreciation,
        "quantity": 1,
        "replacementAmount": round(price - depreciation, 2),
        "ageMonths": chance.randrange(120),
        "basePrice": price,
        "status": chance.choice(ITEM_STATUSES),
    }
    if chance.random() < 0.7:
        item["product"] = {
            "brand": brand,
            "catalogCategory": kind,
            "productCode": f"{chance.randrange(10**7):07d}",
            "retailPrice": price,
            "scalepointPrice": round(price - 1, 2),
        }
    if chance.random() < 0.4:
        item["voucher"] = {
            "voucherCode": f"EKSEMPEL-{chance.randrange(10**6):06d}",
            "faceValue": item["replacementAmount"],
            "voucherBasePrice": price,
        }
    if groups and chance.random() < 0.7:
        item["group"] = {"internalId": chance.choice(groups)["internalId"]}
    return item


def _sum(items: list[dict[str, Any]], name: str) -> float:
    return round(float(sum(item[name] for item in items)), 2)


def _uuid(chance: Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))
