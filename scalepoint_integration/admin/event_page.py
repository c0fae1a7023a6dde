"""What the page of one event shows: its words, its steps, its content to be read, and the report for support."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm import formats, masks
from crm.admin.base import badge
from crm.formats import NOTHING
from scalepoint_integration import errors, events
from scalepoint_integration.admin.places import links
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent, Notice, Service
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.reading import Node


def in_words(event: InboundEvent, body: bytes | None = None) -> str:
    """What happened: "Case closed (Not covered)". ``body`` is only needed for the types of ``events.DETAILED``. A type
    that is not documented is shown as Scalepoint calls it."""
    words = events.words(event.event_type) if event.event_type in events.EVENTS else event.event_type
    if body:
        words = events.details(event.event_type, body) or words
    return gettext("%(event)s (replayed)") % {"event": words} if event.replay_of_id else words


# ---- Steps --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Step:
    label: Any
    badge: SafeString


def steps(event: InboundEvent) -> list[Step]:
    """How far the event came. What its case has by now counts, whichever event brought it."""
    failed = event.status == InboundEvent.Status.FAILED

    def step(label: Any, done: Any, word: Any = "") -> Step:
        if done:
            return Step(label, badge("good", "✔", word or _("done")))
        return Step(label, badge("bad", "✖", _("missing")) if failed else badge("", "◌", _("not yet")))

    case = event.case
    found = [
        step(_("Stored"), True),
        step(_("Insurance company found"), event.insurer or (case and case.insurer)),
        step(_("Case found"), case, str(case) if case else ""),
    ]
    if case is None or event.event_type not in events.MAKE_TASKS:
        return [*found, step(_("Handled"), event.status == InboundEvent.Status.DONE)]
    tasks = list(Service.objects.filter(case=case).values_list("task", flat=True))
    pulls = list(ImagePull.objects.filter(service__case=case).values_list("status", flat=True))
    ready = pulls.count(ImagePull.Status.DONE)
    found += [step(_("Customer found"), case.customer_id), step(_("Task"), tasks and all(tasks))]
    images = f"{ready}/{len(pulls)}"
    if not pulls:
        found.append(Step(_("Images"), badge("", NOTHING, _("none"))))
    elif ready == len(pulls):
        found.append(Step(_("Images"), badge("good", "✔", images)))
    else:
        lost = ImagePull.Status.FAILED in pulls
        found.append(Step(_("Images"), badge("bad" if lost else "wait", "✖" if lost else "◌", images)))
    told = Notice.objects.filter(case=case, status=Notice.Status.DONE).exists()
    found.append(Step(_("Notification"), badge("good", "✔", _("sent")) if told else badge("", "◌", _("none sent"))))
    return found


# ---- Content to be read -------------------------------------------------------------------------------------------
_LABELS = {
    "accidentDate": _("Date of loss"),
    "address": _("address"),
    "alias": _("Alias"),
    "amount": _("amount"),
    "case": _("Case"),
    "caseType": _("Case type"),
    "changedBy": _("changed by"),
    "changes": _("change"),
    "city": _("City"),
    "companyTaxId": _("CVR number"),
    "contacts": _("Contact"),
    "content": _("Text"),
    "countryCode": _("country"),
    "damageAddress": _("Damage address"),
    "damageCategory": _("Damage category"),
    "damageCause": _("Cause of damage"),
    "damageDescription": _("Damage description"),
    "damageType": _("damage type"),
    "description": _("description"),
    "displayName": _("Name"),
    "email": _("email"),
    "endDate": _("End"),
    "externalId": _("The company's claim number"),
    "externalClaimId": _("The company's claim number"),
    "fileName": _("file name"),
    "fileType": _("type"),
    "images": _("image"),
    "insuranceCompany": _("insurance company"),
    "message": _("Message"),
    "mobileNumber": _("Mobile"),
    "name": _("Name"),
    "newValue": _("New value"),
    "number": _("Number"),
    "oldValue": _("Previous value"),
    "phoneNumber": _("phone"),
    "policy": _("Policy"),
    "policyHolder": _("Policyholder"),
    "postalCode": _("Postcode"),
    "property": _("What changed"),
    "referenceNumber": _("Reference"),
    "responsibility": _("Responsibility"),
    "role": _("role"),
    "sender": _("sender"),
    "service": _("service"),
    "servicePartner": _("Craftsman"),
    "startDate": _("Start"),
    "street": _("Street and number"),
    "street2": _("Street, line 2"),
    "subcompanyAlias": _("Sub-alias"),
    "subcompanyName": _("Branch"),
    "subject": _("subject"),
    "terminationReason": _("Closed because"),
    "title": _("Title"),
    "total": _("total"),
    "url": _("Link"),
}
_BY_NAME = {name.casefold(): label for name, label in _LABELS.items()}
# Not for reading: shown among the technical facts.
_HEADER = {"eventtype", "payloadversion", "correlationid", "timestamp", "eventid"}
# Names that only machines call things by.
_NAMES = {"id", "uuid", "token", "guid"}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


def readable(body: bytes) -> list[tuple[str, list[Fact]]]:
    """The content as groups of label and value, in the order of the event. A person's CPR number and an account are
    never shown in full, not even to whom may see the raw content elsewhere."""
    event = json.loads(body)
    groups: list[tuple[str, list[Fact]]] = []
    loose: list[Fact] = []
    for name, value in event.items():
        if name.casefold() in _HEADER:
            continue
        if isinstance(value, dict | list):
            parts = value if isinstance(value, list) else [value]
            facts = [fact for part in parts for fact in _inside(name, part)]
            groups += [(_label(name), facts)] if facts else []
        else:
            loose += _facts("", name, value)
    return [*([(gettext("Event"), loose)] if loose else []), *groups]


def _inside(name: str, value: Any) -> Iterator[Fact]:
    """The facts of a group, whose name stands above them."""
    if not isinstance(value, dict):
        yield from _facts("", name, value)
        return
    for key, inner in value.items():
        yield from _facts("", key, inner)


def _facts(above: str, name: str, value: Any) -> Iterator[Fact]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _facts(f"{above}{_label(name)} · ", key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _facts(above, name, inner)
    elif value not in (None, "") and name.casefold() not in _NAMES:
        yield Fact(f"{above}{_label(name)}", _shown(name, value))


def _label(name: str) -> str:
    known = _BY_NAME.get(name.casefold())
    words = str(known) if known else _CAMEL.sub(" ", name).replace("_", " ")
    return words[:1].upper() + words[1:]


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    text = str(value)
    if mask := masks.of_field(name):
        return mask
    moment = Node({"it": text}).moment("it") if _TIME.match(text) else None
    if moment:
        return formats.moment(moment)
    if len(text) > 2000:
        return gettext("%(number)d characters") % {"number": len(text)}
    return masks.hide(text)


def pretty(body: bytes) -> str:
    """The raw content. A picture inside is shown by its length alone."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(item) for key, item in value.items()}
        if isinstance(value, list):
            return [short(item) for item in value]
        if isinstance(value, str) and len(value) > 2000:
            return f"{value[:60]}… ({len(value)})"
        return value

    return json.dumps(short(json.loads(body)), indent=2, ensure_ascii=False)


# ---- The report ---------------------------------------------------------------------------------------------------
def report(event: InboundEvent) -> str:
    """For support, in English: ids, times, codes, and the shape of the content. Nothing that a person wrote or is.

    The technical error may quote the content, so every word of the content is taken out of it. Without the content
    nobody can tell which words those are; then only the kind of the error is told."""
    body = event.content()
    lines = [
        "Scalepoint event report",
        f"event: {event.pk} ({event.event_type}, version {event.payload_version or '-'}, {event.source})",
        f"correlation id: {event.correlation_id or '-'}",
        f"id at Scalepoint: {event.vendor_id or '-'}",
        f"connection: {event.connection}",
        f"status: {event.status} {event.error_code}".rstrip(),
        f"attempts: {event.attempts}, claimed: {event.claims}, came again: {event.duplicates}",
        f"said: {_time(event.occurred_at)}",
        f"received: {_time(event.received_at)}",
        f"finished: {_time(event.finished_at)}",
        f"handler: {'yes' if events.handler(event.event_type) else 'none of ours'}",
        f"technical error: {_without_persons(event.last_error, body)}",
    ]
    for attempt in event.tries.all():
        said = _without_persons(attempt.detail, body)
        lines.append(f"failed try: {_time(attempt.at)} {attempt.error_code} {said}")
    lines.append(f"size: {event.size} bytes")
    if body is not None:
        lines += ["shape of the content:", *(f"  {line}" for line in _shape("", _parsed(body)))]
    return "\n".join(lines)


def _time(moment: Any) -> str:
    return moment.isoformat(timespec="seconds") if moment else "-"


def _parsed(body: bytes) -> Any:
    try:
        return strict_json.parse(body)
    except strict_json.BadJson:
        return None


_SAFE_WORD = re.compile(r"SP-\d{3}|\w*(?:Error|Exception)|NeedsPerson|NotForUs")


def _without_persons(text: str, body: bytes | None) -> str:
    content = _parsed(body) if body else None
    if content is None:
        return text.split(":")[0] if text else "-"
    said = {word.casefold() for leaf in _leaves(content) for word in re.findall(r"\w{2,}", leaf)}

    def hide(match: re.Match[str]) -> str:
        word = match[0]
        if _SAFE_WORD.fullmatch(word):
            return word
        return masks.REMOVED if word.casefold() in said or len(re.sub(r"\D", "", word)) > 3 else word

    return re.sub(r"SP-\d{3}|\w+", hide, text) or "-"


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _shape(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _shape(f"{path}.{name}" if path else name, inner)
    elif isinstance(value, list):
        yield f"{path}: list of {len(value)}"
        for inner in value[:3]:
            yield from _shape(f"{path}[]", inner)
    else:
        yield f"{path}: {type(value).__name__} of {len(str(value))}" if value is not None else f"{path}: null"


# ---- Settings that differ ----------------------------------------------------------------------------------------
_COMPARED = (
    "team",
    "responsible",
    "task_template",
    "case_name_template",
    "new_cases",
    "winner",
    "customer_is",
    "phone_as_customer_number",
    "no_phone",
    "customer_type",
)


def changed_settings(event: InboundEvent) -> list[str]:
    """The names of the default values that are others than when the event was last handled."""
    then = event.finished_at or event.received_at
    rows: Any = Connection.history
    before = rows.filter(id=event.connection_id, history_date__lte=then).order_by("-history_date").first()
    if before is None:
        return []
    names = [Connection._meta.get_field(name) for name in _COMPARED]
    return [
        str(field.verbose_name)  # type: ignore[union-attr]
        for field in names
        if getattr(before, field.attname) != getattr(event.connection, field.attname)  # type: ignore[union-attr]
    ]


# ---- What to do ---------------------------------------------------------------------------------------------------
def where_to_go(event: InboundEvent, user: Any) -> list[tuple[str, str]]:
    """Label and address of the places where the problem is solved, or the notice is about, as far as the reader may
    open them. An event that was kept off a case has that case in its facts."""
    case = event.case
    if case is None and event.error_facts.get("case"):
        case = Case.objects.filter(pk=event.error_facts["case"], connection=event.connection_id).first()
    insurer = event.insurer or (case and case.insurer)
    places = errors.find(event.error_code or event.notice).at
    return links(user, places, case=case, connection=event.connection, insurer=insurer)
