"""The invented stories: everything that is documented comes, nobody is real, and our own readers take it all."""

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from scalepoint_integration.events import EVENTS
from scalepoint_integration.models import Case, CaseMessage, InboundEvent, Settlement
from scalepoint_integration.simulator import happenings
from scalepoint_integration.simulator.case_settled import MEANS
from scalepoint_integration.simulator.cases import make_cases
from scalepoint_integration.simulator.stories import make_stories, moment_text, wrap
from tasks.models import Task
from tests.support.world import NORD_TOKEN, handle, make_world

INSURERS = [{"name": "Nord Bolig", "alias": "nordins", "sub_alias": "nordins-bolig", "token": NORD_TOKEN}]
URL = "http://127.0.0.1:8900/images"


@pytest.fixture(scope="module")
def stories():
    return list(make_stories(20, 1, INSURERS, URL))


def of_type(story: Any, kind: str) -> list[Any]:
    return [event for event in story.events if event["eventType"] == kind]


def changes(story: Any, name: str) -> list[Any]:
    return [each for event in of_type(story, "claim_updated") for each in event["changes"] if each["property"] == name]


def test_the_same_seed_tells_the_same(stories):
    assert list(make_stories(20, 1, INSURERS, URL)) == stories
    assert list(make_stories(3, "1", INSURERS, URL)) == stories[:3]
    assert [each.case for each in stories] == list(make_cases(20, 1, INSURERS, URL))
    other = next(make_stories(1, 2, INSURERS, URL))
    assert other.case.service_id != stories[0].case.service_id


def test_every_documented_type_comes(stories):
    for story in stories:
        kinds = {event["eventType"] for event in story.events}
        # The fraud events are the insurers' own; task_created is spelled as the example of the documents has it.
        assert kinds == (set(EVENTS) - {"task_created", "fraud_alert", "fraud_status"}) | {"taskCreated"}
        assert story.events[0]["eventType"] == "case_created"
        assert story.events[1] == story.case.event


def test_the_header_is_whole_and_the_times_go_forward(stories):
    for story in stories:
        said = [datetime.fromisoformat(event["timestamp"]) for event in story.events]
        assert all(each.tzinfo for each in said)
        # Some of the shapes have no fractions of a second.
        assert all((later - earlier).total_seconds() > -1 for earlier, later in pairwise(said))
        for event in story.events:
            assert event["payloadVersion"] in ("1.0.0", "1.1.0")
            assert event["correlationId"]
            case = event["case"]
            names = {case.get("uuid"), case.get("id"), case.get("token", "").removeprefix("b.")}
            assert story.case.event["case"]["id"] in names


def test_cases_end_in_each_of_the_ten_ways_and_every_other_one_is_opened_again(stories):
    closed = [changes(story, "CaseClosed") for story in stories]
    assert [len(each) for each in closed] == [1] * 20
    reasons = Counter(each[0]["terminationReason"] for each in closed)
    assert reasons == dict.fromkeys(happenings.REASONS, 2)
    assert {each[0]["isTerminated"] for each in closed if each[0]["terminationReason"] == "None"} == {False}
    assert [len(changes(story, "CaseReopened")) for story in stories] == [0, 1] * 10


def test_a_file_is_added_and_taken_away_again(stories):
    for story in stories:
        files = [event["changes"][0] for event in of_type(story, "attachments_updated")]
        added, kept, gone = files
        assert added["property"] in happenings.ADDED
        assert kept["property"] in happenings.ADDED
        assert gone == {**added, "property": gone["property"]}
        assert gone["property"] in happenings.REMOVED
        assert kept["attachmentGUID"] != added["attachmentGUID"]
        assert all(each["attachmentLink"].startswith(f"{URL}/") for each in files)


def test_a_settlement_points_at_what_is_there_and_adds_up(stories):
    means = set()
    for story in stories:
        (event,) = of_type(story, "case_settled")
        text = json.dumps(event)
        there = {each["$id"] for name in ("parties", "expenses", "obligations") for each in event[name]}
        pointed = {part.split('"')[0] for part in text.split('{"$ref": "')[1:]}
        assert pointed <= there
        (expense,), (payment,) = event["expenses"], event["payments"]
        assert expense["subtotal"] + expense["vat"] == pytest.approx(expense["total"])
        assert payment["total"] + event["settlement"]["summary"]["deductible"] == pytest.approx(expense["total"])
        assert sum(each["amount"] for each in event["obligations"]) == pytest.approx(expense["total"])
        means.add((payment["paymentMeans"]["paymentMeansCode"], payment["paymentMeans"]["paymentChannelCode"]))
    assert means == set(MEANS)


def test_every_third_case_has_no_number_yet(stories):
    assert ["number" in story.events[0]["case"] for story in stories[:6]] == [True, True, False] * 2


def test_nobody_in_them_is_real(stories):
    for story in stories:
        text = json.dumps(story.events, ensure_ascii=False)
        for address in (part.split('"')[0] for part in text.split("@")[1:]):
            assert address.endswith(".example"), address
        for phone in (part.split('"')[0] for part in text.split('"phone": "')[1:]):
            assert phone.startswith("+4501")
        assert text.count("https://") == text.count("https://scalepoint.example/")
        assert NORD_TOKEN not in text


def test_wrappers():
    event = {"eventType": "x", "timestamp": "2031-06-12T08:00:00.5+02:00"}
    assert wrap(event) == event
    outer = wrap(event, "with id", 6)
    assert outer == {
        "id": "_7",
        "type": "x",
        "timestamp": "2031-06-12T06:00:03.500000123Z",
        "attributes": event,
    }
    del outer["id"]
    assert wrap(event, "without id", 6) == outer
    moment = datetime.fromisoformat(event["timestamp"])
    texts = {moment_text(moment, shape) for shape in range(8)}
    assert len(texts) == 8
    assert {int(datetime.fromisoformat(text).timestamp()) for text in texts} == {int(moment.timestamp())}


@pytest.mark.django_db
@pytest.mark.parametrize("backwards", [False, True])
def test_a_site_understands_every_word(stories, backwards):
    world = make_world()
    told = [event for story in stories[:10] for event in story.events]
    rows = handle(world, *(reversed(told) if backwards else told))
    assert {(row.event_type, row.status, row.error_code) for row in rows if row.status != "done"} == set()
    assert InboundEvent.objects.count() == len(told)
    assert Case.objects.count() == Task.objects.count() == Settlement.objects.count() == 10
    assert CaseMessage.objects.count() == 20
    # Each odd story was opened again at its end.
    ends = [Case.objects.get(case_id__iexact=story.case.event["case"]["id"]) for story in stories[:10]]
    assert [case.status == "in_progress" for case in ends] == [False, True] * 5
