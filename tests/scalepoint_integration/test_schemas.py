"""A schema for each type of event says what the documents say of it, and everything here that claims to be documented
is held against it: the fixtures, all that the stand-in Scalepoint sends, and events made out of the schemas themselves.

Names are compared without regard to case, as they are read. What is outside the documents is taken all the same: a
schema is no gate, and no event is ever refused by one.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry, Resource

from scalepoint_integration.events import EVENTS as TABLE
from scalepoint_integration.payloads import (
    assignment,
    attachments,
    caseblock,
    claim,
    message,
    notes,
    reserve,
    settlement,
    strict_json,
)
from scalepoint_integration.payloads.envelope import find_events, read_envelope
from scalepoint_integration.payloads.reading import Node
from scalepoint_integration.simulator.cases import make_cases
from scalepoint_integration.simulator.stories import WRAPPINGS, make_stories, wrap
from tests.support.world import FIXTURES

SCHEMAS = FIXTURES.parent / "schemas"
TYPES = sorted(TABLE)
HANDLED = {row.name for row in TABLE.values() if row.handler}
# Fixtures of these names say less than the documents or other things, and the schema must refuse them.
OUTSIDE = {
    "minimal",
    "odd",
    "no_case",
    "nothing_to_know_it_by",
    "closed_unknown_reason",
    "closed_without_flag",
    "several_roles",
    "left_open",
}
EVENTS = sorted(path for path in FIXTURES.glob("*/*.json") if not path.name.endswith(".expected.json"))
INSURERS = [{"name": "Nord (eksempel)", "alias": "nordins", "sub_alias": "nordins-bolig", "token": "invented"}]
# The shapes that the documents show, and the one they have for a notice of loss.
MOMENTS = (
    "2031-03-02T08:15:30.123456789Z",
    "2031-03-02T09:15:27.1234567+01:00",
    "2031-03-02T08:15:30.0000000+00:00",
    "2031-03-02T09:15:30.620+0100",
    "2031-03-02T08:15:30Z",
    "3/2/2031 09:15:30 AM",
)


def folded(value: Any, *, schema: bool = False) -> Any:
    """With the names of all fields in lower case; of a schema those that it speaks of, and not its own words."""
    if isinstance(value, list):
        return [folded(each, schema=schema) for each in value]
    if not isinstance(value, dict):
        return value
    if not schema:
        return {name.casefold(): folded(each) for name, each in value.items()}
    found = {name: folded(each, schema=True) for name, each in value.items()}
    if isinstance(value.get("properties"), dict):
        found["properties"] = {name.casefold(): each for name, each in found["properties"].items()}
    if isinstance(value.get("required"), list):
        found["required"] = [name.casefold() for name in value["required"]]
    return found


@cache
def read(name: str) -> Any:
    return folded(json.loads((SCHEMAS / f"{name}.json").read_text()), schema=True)


@cache
def validator(event_type: str) -> Validator:
    shared = Registry().with_resource("_common.json", Resource.from_contents(read("_common")))
    kind = validator_for(read(event_type))
    kind.check_schema(read(event_type))
    return kind(read(event_type), registry=shared)


def problems(event: Any) -> list[str]:
    """What of an unwrapped event its schema does not allow."""
    found = validator(read_envelope(event).event_type).iter_errors(folded(event))
    return [f"{each.json_path}: {each.message}" for each in found]


def test_every_type_has_a_schema_and_every_schema_a_type() -> None:
    assert sorted(path.stem for path in SCHEMAS.glob("[!_]*.json")) == TYPES
    assert [path.stem for path in SCHEMAS.glob("_*")] == ["_common"]


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_fixtures_that_claim_to_be_documented_are(path: Path) -> None:
    for event, _vendor_id in find_events(strict_json.parse(path.read_bytes()), 100):
        assert read_envelope(event).event_type == path.parent.name
        found = problems(event)
        assert bool(found) == (path.stem in OUTSIDE), found


def test_all_that_the_stand_in_sends_is_as_documented() -> None:
    """Thirty stories have each reason of closing, each action on a file, each shape of a time, with and without."""
    told: set[str] = set()
    events = [case.event for case in make_cases(60, "schemas", INSURERS, "http://127.0.0.1:8900/images")]
    for story in make_stories(30, "schemas", INSURERS, "http://127.0.0.1:8900/images"):
        events += story.events
    for place, event in enumerate(events):
        sent = json.loads(json.dumps(wrap(event, WRAPPINGS[place % 3], place)))
        [(unwrapped, _vendor_id)] = find_events(sent, 1)
        told.add(read_envelope(unwrapped).event_type)
        assert problems(unwrapped) == [], event
    assert told == HANDLED


def change(*path: str | int, **to: Any) -> tuple[tuple[str | int, ...], dict[str, Any]]:
    return path, to


# One thing of a right event is made wrong. A name that becomes None is taken away.
WRONG = {
    "attachments_updated/documented": [
        change("changes", 0, property=None),
        change("changes", 0, fileName=5),
        change("changes", 0, attachmentLink="ftp://files.example/1"),
        change(changes={}),
        change(eventId=17),
    ],
    "case_created/documented": [
        change("case", token=None),
        change("case", accidentDate="the fifth of May"),
        change("policy", number=111222),
    ],
    "case_settled/documented": [
        change("parties", 0, "roles", **{"0": "neighbour"}),
        change("settlement", "approvedBy", type="robot"),
        change("payments", 0, "paymentMeans", paymentMeansCode="BY_PIGEON"),
        change("payments", 0, "paymentMeans", paymentChannelCode="DK:PIGEON"),
        change("payments", 0, total="12.50"),
        change("expenses", 0, payerParty="/parties/1"),
        change("obligations", 0, obligationType="gift"),
        change(settlement=None),
    ],
    "claim_updated/documented": [
        change("changes", 0, terminationReason="Boredom"),
        change("changes", 0, isTerminated="true"),
        change("changes", 0, isTerminated=None),
        change("changes", 0, property=None),
        change("changedBy", username=7),
        change(changes=None),
        change(case=None),
    ],
    "claimline_changed/documented": [change("case", uuid=None, token=None, number=None), change(timestamp="today")],
    "message_received/documented_schema": [
        change("messageReceivedData", "messageData", channelType="Pigeon"),
        change("messageReceivedData", "messageData", addMessageAction="Sing"),
        change("messageReceivedData", "senderData", isClaimParticipant="yes"),
        change(messageReceivedData=None),
    ],
    "message_received/documented_table": [
        change("message", sender="Kim"),
        change("message", timestamp="yesterday"),
        change("message", attachments={}),
    ],
    "order_created/documented": [change(orderToken=None), change(orderToken="")],
    "repair_service_requested/full": [
        change("case", id="", number=None, token=None),
        change("case", "policy", "insuranceCompany", alias=1),
        change("case", damageAddress="Skadevej 4"),
        change("service", startDate="soon"),
        change("images", 0, url="javascript:1"),
        change("images", 0, url=None),
        change(contacts={}),
        change(payloadVersion=None),
        change(correlationId=None),
        change(timestamp=None),
        change(timestamp=1930000000),
    ],
    "repair_updated/after_request": [change("servicePartner", phoneNumber=45), change(servicePartner=[])],
    "reserve_updated/changed": [change(changesInReserves=[]), change(payloadVersion=1.1), change("case", number=4)],
    "selfservice_received/documented": [change(selfServiceType="Pigeon"), change(isAutoImported="no")],
    "task_created/documented": [change(statusCode="200"), change("payload", triggeredRules={}), change(success="yes")],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_schema_can_refuse(name: str) -> None:
    for path, to in WRONG[name]:
        [(event, _vendor_id)] = find_events(strict_json.parse((FIXTURES / f"{name}.json").read_bytes()), 1)
        assert problems(event) == []
        place: Any = event
        for step in path:
            place = place[step]
        for key, value in to.items():
            if isinstance(place, list):
                place[int(key)] = value
            elif value is None:
                del place[key]
            else:
                place[key] = value
        assert problems(event) != [], (path, to)


def test_the_verdict_of_a_fraud_and_an_alert_can_be_refused() -> None:
    head = {"payloadVersion": "1.0.0", "timestamp": MOMENTS[0]}
    verdict = {"eventType": "fraud_status", **head, "case": {"caseType": "contentClaim"}, "status": "FRAUDELENT"}
    assert problems(verdict) == []
    assert problems({**verdict, "status": "MAYBE"}) != []
    assert problems({**verdict, "case": {}}) != []
    alert = {"eventType": "fraud_alert", **head}
    assert problems(alert) == []
    assert problems({**alert, "timestamp": "now"}) != []


def resolved(schema: Any, home: Any) -> tuple[Any, Any]:
    """What a link leads to, and the file it stands in."""
    while "$ref" in schema:
        file, _, pointer = schema["$ref"].partition("#")
        home = read(file.removesuffix(".json")) if file else home
        schema = home
        for step in pointer.strip("/").split("/"):
            schema = schema[step]
    return schema, home


def made(schema: Any, home: Any) -> st.SearchStrategy[Any]:
    """Values in the shape of a schema, of the words of JSON Schema that ours use. Fields that it does not ask for come
    and go."""
    schema, home = resolved(schema, home)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema and "properties" not in schema:
        return st.one_of([made(each, home) for each in schema["anyOf"]])
    if "allOf" in schema:
        parts = [*schema["allOf"], {name: value for name, value in schema.items() if name != "allOf"}]
        return st.tuples(*(made(each, home) for each in parts)).map(
            lambda found: {name: value for part in found for name, value in part.items()}
        )
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        return st.one_of([made({**schema, "type": each}, home) for each in kind])
    if kind == "object":
        return _made_object(schema, home)
    if kind == "array":
        return st.lists(made(schema["items"], home), max_size=3)
    if "pattern" in schema:
        if "AM|PM" in schema["pattern"]:
            return st.sampled_from(MOMENTS)
        return st.from_regex(schema["pattern"], fullmatch=True).filter(str.isprintable)
    texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
    numbers = st.decimals(-(10**9), 10**9, places=2)
    leaves = {"string": texts, "number": numbers, "integer": st.integers(0, 999), "boolean": st.booleans()}
    return {**leaves, "null": st.none()}[kind]


def _made_object(schema: Any, home: Any) -> st.SearchStrategy[Any]:
    known = schema.get("properties", {})
    either = [set(each["required"]) for each in schema.get("anyOf", [{"required": []}])]
    always = set(schema.get("required", []))
    if "additionalProperties" in schema:
        return st.dictionaries(st.sampled_from(["2190", "7"]), made(schema["additionalProperties"], home))
    # What a condition asks for is given always: a field more is never wrong.
    always |= set(schema.get("then", {}).get("required", []))
    return st.sampled_from(either).flatmap(
        lambda chosen: st.fixed_dictionaries(
            {name: made(known[name], home) for name in known if name in always | chosen},
            optional={name: made(known[name], home) for name in known if name not in always | chosen},
        )
    )


@pytest.mark.parametrize("event_type", TYPES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_what_fits_a_schema_is_read(event_type: str, data: st.DataObject) -> None:
    """Its type, its time in any shape and a name of its case: what an event can't be worked on without."""
    event = data.draw(made(read(event_type), read(event_type)))
    assert problems(event) == []
    body = strict_json.canonical(event)
    [(unwrapped, _vendor_id)] = find_events(strict_json.parse(body), 1)
    envelope = read_envelope(unwrapped)
    assert envelope.event_type == event_type
    for parse in (assignment, attachments, caseblock, claim, message, notes, reserve, settlement):
        parse.parse(unwrapped)
    if event_type != "reserve_updated":  # Scalepoint's own schema of it allows any text for a time, and no case
        assert envelope.occurred_at is not None
    if event_type in HANDLED - {"reserve_updated"}:
        block = caseblock.parse(unwrapped)
        assert block.case_id or block.token or block.facts.number, Node(unwrapped).node("case")


@pytest.mark.parametrize("wrong", ["2031-03-02", "02.03.2031 08:15", "1930000000", "2031-03-02T08:15", "today", ""])
def test_every_documented_shape_of_a_time_is_one_and_nothing_else_is(wrong: str) -> None:
    event = {"eventType": "fraud_alert", "payloadVersion": "1.0.0"}
    assert [moment for moment in MOMENTS if problems({**event, "timestamp": moment})] == []
    assert problems({**event, "timestamp": wrong}) != []
