"""The invented cases: what the wire contract says, unique, the same for the same seed, and nobody real."""

import json
from datetime import UTC, datetime

import pytest

from crm.services import normalise_phone
from scalepoint_integration.fetching.picture import decode_inline, read_picture
from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.assignment import parse
from scalepoint_integration.payloads.envelope import find_events, read_envelope
from scalepoint_integration.simulator.cases import DAY, MINIMAL_EVERY, MOST_IMAGES, make_cases

INSURERS = [
    {"name": "Nord Forsikring (eksempel)", "alias": "nord-eksempel", "sub_alias": "", "token": "token-1"},
    {"name": "Nord Erhverv (eksempel)", "alias": "nord-eksempel", "sub_alias": "erhverv", "token": "token-2"},
]
URL = "http://127.0.0.1:8900/images"


@pytest.fixture(scope="module")
def cases():
    return list(make_cases(300, 1, INSURERS, URL))


def test_the_same_seed_gives_the_same_cases(cases):
    assert list(make_cases(300, 1, INSURERS, URL)) == cases
    assert list(make_cases(40, "1", INSURERS, URL)) == cases[:40]
    assert not {each.service_id for each in make_cases(300, 2, INSURERS, URL)} & {each.service_id for each in cases}


def test_our_own_reader_finds_every_fact(cases):
    for case in cases:
        document = strict_json.parse(json.dumps(case.event).encode())
        envelope = read_envelope(*find_events(document, 1)[0])
        said = parse(document)
        assert (envelope.event_type, envelope.payload_version) == ("repair_service_requested", "1.0.0")
        assert envelope.occurred_at and envelope.occurred_at.astimezone(UTC).date() == DAY
        assert (envelope.case_number, said.service_id) == (case.case_number, case.service_id)
        assert said.case_id and said.service.reference.startswith(f"{case.case_number}-")
        assert len(normalise_phone(said.case.holder_phone)) == 8
        assert len(said.images) == case.images <= MOST_IMAGES
        insurer = next(each for each in INSURERS if each["token"] == case.token)
        assert (said.case.insurer_alias, said.case.insurer_sub_alias) == (insurer["alias"], insurer["sub_alias"])
        assert case.token not in json.dumps(case.event)


def test_nothing_that_must_be_unique_comes_twice(cases):
    said = [parse(each.event) for each in cases]
    for values in (
        [each.case_id for each in said],
        [each.service_id for each in said],
        [each.case.number for each in said],
        [normalise_phone(each.case.holder_phone) for each in said],
        [each.case.policy_number for each in said if each.case.policy_number],
        [image.key for each in said for image in each.images],
        [image.url or image.content for each in said for image in each.images],
    ):
        assert len(set(values)) == len(values)


def test_some_cases_have_the_documented_facts_and_a_phone_number_alone(cases):
    minimal = [each.event for each in cases if set(each.event["policyHolder"]) == {"phoneNumber"}]
    assert len(minimal) == len(cases) // MINIMAL_EVERY
    documented = {"eventType", "payloadVersion", "correlationId", "timestamp", "case", "service", "policyHolder"}
    for event in minimal:
        assert set(event) == documented
        assert set(event["case"]) == {"id", "damageCause", "damageCategory", "policy", "number", "externalId"}
        assert set(event["case"]["policy"]) == {"insuranceCompany"}
        assert set(event["service"]) == {"referenceNumber", "id", "startDate", "endDate"}


def test_there_is_some_of_everything(cases):
    said = [parse(each.event) for each in cases]
    images = [image for each in said for image in each.images]
    assert {each.images for each in cases} >= {0, 1, 5, MOST_IMAGES}
    assert {each.token for each in cases} == {"token-1", "token-2"}
    assert any(image.content for image in images)
    assert {image.url[-4:] for image in images} == {"", ".jpg", ".png"}
    assert len({len(each.event["timestamp"]) for each in cases}) >= 4
    elsewhere = [each.case.damage_address != each.case.holder_address for each in said]
    assert any(elsewhere) and not all(elsewhere)
    assert {len(each.contacts) for each in said} >= {0, 1, 2}


def test_inline_images_are_good(cases):
    inline = [image for each in cases[:60] for image in parse(each.event).images if image.content]
    assert len(inline) > 10
    for image in inline:
        assert image.file_name.endswith(read_picture(decode_inline(image.content)).extension)


def test_nobody_in_them_is_real(cases):
    for case in cases:
        text = json.dumps(case.event, ensure_ascii=False)
        people = [case.event["policyHolder"], *case.event.get("contacts", [])]
        for person in people:
            assert person.get("name", "x Eksempelsen").endswith(" Eksempelsen")
            assert normalise_phone(person["phoneNumber"]).startswith("01")
            assert person.get("email", ".example").endswith(".example")
            assert person.get("address", {}).get("postalCode", "01").startswith("01")
        assert text.count("https://") == text.count("https://scalepoint.example/")


def test_the_times_are_the_shapes_that_were_documented(cases):
    for case in cases:
        for text in (case.event["timestamp"], case.event["service"]["startDate"], case.event["service"]["endDate"]):
            assert datetime.fromisoformat(text).tzinfo
