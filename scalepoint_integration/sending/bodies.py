"""What a sending says, per kind. No clock; of the database only who sends.

Documented by Scalepoint: the header of an event, that ``case_created`` as an answer carries ``case`` with token and
number, that a payment is referred to by its uuid, the head of a partner's file, and the expense. Inferred, because the
pages break off before it, and marked so below: the rest.

The same row gives the same event every time: a sending whose outcome is unknown is repeated under its correlation id.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from crm.masks import REMOVED
from scalepoint_integration import errors
from scalepoint_integration.conf import conf
from scalepoint_integration.models import OutboundEvent, UserSettings
from scalepoint_integration.workqueue import NeedsPerson, NotForUs, PermanentError

Kind = OutboundEvent.Kind
Body = dict[str, Any]


def event_type(item: OutboundEvent) -> str:
    """The type of the event; "" for a file and an expense, which are no events."""
    names = {
        Kind.CASE_NUMBER: "case_created",
        Kind.CASE_NUMBER_FAILED: conf().event_name_case_number_failed,
        Kind.MESSAGE: conf().event_name_message,
        Kind.PAYMENT_STATUS: "payment_status_updated",
    }
    return names.get(Kind(item.kind), "")


def body(item: OutboundEvent, now: datetime, security_token: str = REMOVED) -> Body:
    """What leaves. Raises NeedsPerson (SP-412, SP-413) where something is missing, NotForUs (SP-411) where Scalepoint
    has a case number already. ``security_token`` is the insurance company's, for a file alone."""
    if not item.facts:
        raise PermanentError(errors.UNFORESEEN, "the content was deleted by the retention rule")
    return _BODIES[Kind(item.kind)](item, now, security_token)


def shown(item: OutboundEvent, said: Body) -> Body:
    """The same for reading: without the security token, a file by its size alone."""
    if item.kind != Kind.FILE:
        return said
    payload = {**said["payload"], conf().file_field_content: f"… ({item.facts['size']})"}
    return {**said, "securityToken": REMOVED, "payload": payload}


def check_expense(expense: Mapping[str, Any]) -> None:
    """Refuse an expense without number, date, or any line with a title: NeedsPerson (SP-413)."""
    for name in ("number", "date"):
        if not expense.get(name):
            raise NeedsPerson(errors.FIELD_MISSING, field=name)
    items = expense.get("items")
    if not isinstance(items, list) or not items or not all(isinstance(each, Mapping) for each in items):
        raise NeedsPerson(errors.FIELD_MISSING, field="items")
    if not all(each.get("title") for each in items):
        raise NeedsPerson(errors.FIELD_MISSING, field="items.title")


def plain(value: Any) -> Any:
    """As JSON holds it. An amount becomes a number that says exactly the same; ValueError where none does."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        number = int(value) if value == value.to_integral_value() else float(value)
        if Decimal(str(number)) != value:
            raise ValueError(f"{value} has too many digits for a JSON number")
        return number
    return value


def _case_number(item: OutboundEvent, now: datetime, token: str) -> Body:
    """``case_created`` as an answer: the number is stored on the claim with that token, if it has none yet."""
    case = item.case
    if case is not None and case.number:
        raise NotForUs(errors.CASE_NUMBER_EXISTS)
    return _event(item, now, case={"token": _required(item, "token"), "number": _fact(item, "number")})


def _case_number_failed(item: OutboundEvent, now: datetime, token: str) -> Body:
    """No number could be made: Scalepoint closes the case and shows the text. Inferred: the event's name (setting
    EVENT_NAME_CASE_NUMBER_FAILED) and ``message.text``."""
    return _event(item, now, case=_case(item), message={"text": _fact(item, "text")})


def _message(item: OutboundEvent, now: datetime, token: str) -> Body:
    """A message on the claim; its type can make tasks for the handlers. Inferred: the event's name (setting
    EVENT_NAME_MESSAGE), the names inside ``message``, and ``changedBy``, which their own events have."""
    said = {name: item.facts.get(name) for name in ("subject", "text", "type") if item.facts.get(name)}
    _fact(item, "text")
    return _event(item, now, case=_case(item), message=said, **_changed_by(item))


def _payment_status(item: OutboundEvent, now: datetime, token: str) -> Body:
    """A payment of a settlement was processed or cancelled; shown with the settlements. Documented: the header and
    that ``payment.uuid`` is referred to. Inferred: where the status stands and its two words."""
    payment = {"uuid": _fact(item, "uuid"), "status": _fact(item, "status")}
    return _event(item, now, case=_case(item), payment=payment)


def _file(item: OutboundEvent, now: datetime, token: str) -> Body:
    """A partner's file for an open case. Documented up to ``userEmail``: the user must be active among the partner's
    employees there. Inferred: the fields of the file itself (settings FILE_FIELD_...)."""
    case, user, options = item.case, item.created_by, conf()
    email = str(getattr(user, "email", "") or "")
    if not email:
        raise NeedsPerson(errors.FIELD_MISSING, field="userEmail")
    payload = {
        "id": _required(item, "case_id"),
        "insuranceCompanyAlias": case.insurer.alias if case and case.insurer else "",
        "userEmail": email,
        options.file_field_name: _fact(item, "name"),
        options.file_field_type: item.facts.get("type", ""),
        options.file_field_content: base64.b64encode(bytes(item.content or b"")).decode(),
    }
    if not payload["insuranceCompanyAlias"]:
        raise NeedsPerson(errors.FIELD_MISSING, field="insuranceCompanyAlias")
    return {"securityToken": token, "timestamp": now.astimezone(UTC).date().isoformat(), "payload": payload}


def _expense(item: OutboundEvent, now: datetime, token: str) -> Body:
    """An invoice as documented. Inferred: that the claim's tenant is the insurance company's alias, and where the user
    name stands (setting EXPENSE_FIELD_USER_NAME; empty: nowhere)."""
    expense = item.facts.get("expense") or {}
    check_expense(expense)
    case = item.case
    tenant = case.insurer.alias if case and case.insurer else ""
    if not tenant:
        raise NeedsPerson(errors.FIELD_MISSING, field="tenant")
    claim = {"id": _required(item, "case_id"), "tenant": tenant}
    meta, user_name = {"timestamp": _moment(now)}, _user_name(item)
    if conf().expense_field_user_name and user_name:
        meta[conf().expense_field_user_name] = user_name
    return {"meta": meta, "data": {"claim": claim, "expense": expense}}


_BODIES = {
    Kind.CASE_NUMBER: _case_number,
    Kind.CASE_NUMBER_FAILED: _case_number_failed,
    Kind.MESSAGE: _message,
    Kind.PAYMENT_STATUS: _payment_status,
    Kind.FILE: _file,
    Kind.EXPENSE: _expense,
}


def _event(item: OutboundEvent, now: datetime, **blocks: Body) -> Body:
    """An event with its header. Its time is when it happened, not when it was sent: a repetition says the same."""
    correlation = uuid5(NAMESPACE_URL, f"{item.connection.contract_number}/{item.kind}/{item.key}")
    return {
        "eventType": event_type(item),
        "payloadVersion": "1.0.0",
        "correlationId": str(correlation),
        "timestamp": _moment(item.created_at or now),
        **blocks,
    }


def _changed_by(item: OutboundEvent) -> dict[str, Body]:
    name = _user_name(item)
    return {"changedBy": {"username": name}} if name else {}


def _user_name(item: OutboundEvent) -> str:
    """The Scalepoint user name of the person who sends; "" where no person does."""
    if item.created_by is None:
        return ""
    name = UserSettings.name_at_scalepoint(item.created_by)
    if not name:
        raise NeedsPerson(errors.NO_USER_NAME, person=str(item.created_by))
    return name


def _case(item: OutboundEvent) -> Body:
    number = item.case.number if item.case else ""
    return {"token": _required(item, "token"), **({"number": number} if number else {})}


def _required(item: OutboundEvent, name: str) -> str:
    """Scalepoint's own name of the case, without which nothing can be said about it."""
    value = str(getattr(item.case, name, "") or "")
    if not value:
        raise NeedsPerson(errors.FIELD_MISSING, field=f"case.{name}")
    return value


def _fact(item: OutboundEvent, name: str) -> str:
    value = str(item.facts.get(name) or "")
    if not value:
        raise NeedsPerson(errors.FIELD_MISSING, field=name)
    return value


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
