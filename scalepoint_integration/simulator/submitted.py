"""What is sent to Scalepoint: events, files, and expenses. Each is checked, has its effect, and is kept.

What the public documents lost (the names of two events, the fields of a file) is not checked, or can be set.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from scalepoint_integration.simulator.api import Answer, Call, Refused, is_moment, is_text

Check = Callable[[Any], bool]


def is_guid(value: Any) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value.casefold()
    except ValueError:
        return False


def is_email(value: Any) -> bool:
    return is_text(value) and value.count("@") == 1 and not value.startswith("@") and not value.endswith("@")


_FILE: dict[str, Check] = {
    "securityToken": is_text,
    "payload.id": is_guid,
    "payload.insuranceCompanyAlias": is_text,
    "payload.userEmail": is_email,
}
_EXPENSE: dict[str, Check] = {
    "meta.timestamp": is_moment,
    "data.claim.id": is_text,
    "data.claim.tenant": is_text,
    "data.expense.number": is_text,
    "data.expense.date": is_moment,
    "data.expense.dueDate": is_moment,
    "data.expense.expenseType": is_text,
    "data.expense.invoiceType": is_text,
    "data.expense.isDraft": lambda value: isinstance(value, bool),
    "data.expense.issuer.name": is_text,
    "data.expense.payer.name": is_text,
    "data.expense.items": lambda value: isinstance(value, list) and bool(value),
}


def send_event(call: Call, country: str, tenant: str) -> Answer:
    call.require("events")
    call.check_tenant(tenant)
    event = call.json()
    call.told["event"] = event
    kind = event.get("eventType")
    # fraud_status alone is documented without a correlationId.
    needed = (
        ("eventType", "payloadVersion") if kind == "fraud_status" else ("eventType", "payloadVersion", "correlationId")
    )
    _check(event, dict.fromkeys(needed, is_text) | {"timestamp": is_moment})
    if call.header("Event-Type") != kind:
        raise Refused(400, "the Event-Type header is not the body's eventType")
    digest = hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()
    with call.state.changing():
        sent = call.state.known.sent
        # The correlation id alone would not do: the documents show one that is the case's own, on many events.
        if digest in sent:
            call.told |= {"repeat": True, "effect": "none: it was sent before"}
        else:
            call.told |= {"repeat": False, "effect": _effect(call, event)}
            sent.append(digest)
    return Answer(call.state.behaviour.success)


def _effect(call: Call, event: dict[str, Any]) -> str:
    behaviour, known = call.state.behaviour, call.state.known
    kind = event["eventType"]
    if kind == "payment_status_updated":
        payment = event.get("payment")
        uuid, status = _at(event, "payment.uuid"), _at(event, "payment.status") or event.get("status")
        if not isinstance(payment, dict) or not is_text(uuid) or not is_text(status):
            raise Refused(400, "without payment.uuid or status")
        if uuid not in known.payments:
            return _unknown(call, "payment")
        known.payments[str(uuid)] = str(status)
        return f"the payment is {status}"
    if kind not in ("case_created", behaviour.number_failed_event, behaviour.message_event):
        return "none"
    _check(event, {"case.token": is_text})
    case = known.cases.get(event["case"]["token"].casefold())
    if kind == "case_created":
        _check(event, {"case.number": is_text})
        if case is None:
            return _unknown(call, "case")
        if case["number"]:
            return "the case has a number"
        case["number"] = event["case"]["number"]
        return "the number is set"
    if not is_text(event.get("message")) and not (isinstance(event.get("message"), dict) and event["message"]):
        raise Refused(400, "without a message")
    if case is None:
        return _unknown(call, "case")
    case["messages"].append(event["message"])
    if kind == behaviour.message_event:
        return "the message is shown"
    case["closed"] = True
    return "the case is closed"


def _unknown(call: Call, what: str) -> str:
    if status := call.state.behaviour.unknown_reference:
        raise Refused(status, f"an unknown {what}")
    return f"none: an unknown {what}"


def submit_file(call: Call) -> Answer:
    return _submit_file(call)


def submit_to_case(call: Call) -> Answer:
    return _submit_file(call, open_case=True)


def _submit_file(call: Call, open_case: bool = False) -> Answer:
    call.require("platform-service-provider:write")
    body = call.json()
    call.told["body"] = body
    _check(body, _FILE)
    if "timestamp" in body and not is_text(body["timestamp"]):
        raise Refused(400, "timestamp is not a text")
    payload, partners = body["payload"], call.state.partners
    if not partners and not is_guid(body["securityToken"]):
        raise Refused(400, "securityToken is not a GUID")
    if partners:
        if body["securityToken"] not in partners:
            raise Refused(400, "an unknown securityToken")
        aliases, emails = partners[body["securityToken"]]
        if aliases and payload["insuranceCompanyAlias"] not in aliases:
            raise Refused(400, "an unknown insuranceCompanyAlias")
        if emails and payload["userEmail"] not in emails:
            raise Refused(400, "userEmail is of no active employee")
    if open_case and payload["id"].casefold() in call.state.known.closed_ids:
        raise Refused(400, "the case is closed")
    return Answer(200)


def submit_expense(call: Call) -> Answer:
    call.require(call.state.behaviour.expense_scope)
    if call.header("Accept") != "application/json" or call.header("Accept-Charset").lower() != "utf-8":
        raise Refused(406, "Accept is not application/json, or Accept-Charset not utf-8")
    body = call.json()
    call.told["body"] = body
    _check(body, _EXPENSE)
    expense = body["data"]["expense"]
    if not all(isinstance(item, dict) and is_text(item.get("title")) for item in expense["items"]):
        raise Refused(400, "an item without a title")
    number = expense["number"]
    before = [each for each in call.state.received("expense") if not each["reason"] and each.get("number") == number]
    call.told |= {"number": number, "effect": "the number was used before" if before else "the expense is kept"}
    return Answer(200)


def _at(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


def _check(body: dict[str, Any], needed: dict[str, Check]) -> None:
    wrong = [path for path, check in needed.items() if not check(_at(body, path))]
    if wrong:
        raise Refused(400, f"missing or wrong: {', '.join(wrong)}")
