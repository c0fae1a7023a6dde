"""What is stored of an event: never a secret, whatever it is called and wherever it stands."""

import hashlib
from typing import Any

import pytest

from scalepoint_integration.payloads.envelope import read_envelope
from scalepoint_integration.payloads.strict_json import parse


@pytest.mark.parametrize("secret", ["plain-secret", 'with "quotes" and \\', "æøå-secret", "tab\there"])
def test_a_proof_is_taken_out_wherever_it_stands(secret: str) -> None:
    event = {"eventType": "x", "note": f"<{secret}>", "deep": [{secret: [secret]}]}
    stored = parse(read_envelope(event, secrets=[secret]).body)
    assert stored == {"eventType": "x", "note": "<•••>", "deep": [{"•••": ["•••"]}]}


@pytest.mark.parametrize(
    "name", ["securityToken", "SECURITY_TOKEN", "access-token", "clientSecret", "Password", "apiKey"]
)
def test_a_field_that_is_named_like_a_secret_is_left_out(name: str) -> None:
    stored = parse(read_envelope({"eventType": "x", "deep": [{name: "hush", "token": "b.case"}]}).body)
    assert stored == {"eventType": "x", "deep": [{"token": "b.case"}]}


def test_the_key_is_the_digest_of_what_is_stored() -> None:
    envelope = read_envelope({"eventType": "taskCreated", "case": {"number": 7}}, "_1", ["never there"])
    assert envelope.dedupe_key == hashlib.sha256(envelope.body).hexdigest()
    assert (envelope.event_type, envelope.case_number, envelope.vendor_id) == ("task_created", "7", "_1")


@pytest.mark.parametrize("odd", [None, 1, [], "text", {"id": []}])
def test_an_odd_field_is_empty(odd: Any) -> None:
    event = {"eventType": "x", "case": odd, "service": odd, "timestamp": odd, "correlationId": odd}
    assert read_envelope(event).case_number == ""
