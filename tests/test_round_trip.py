"""Both directions at once, with real processes: web, workers and beat here, the stand-in Scalepoint there.

The same story goes the two ways in, by push with an access token of ours and by long-polling; our case number and the
status of a payment go out; tokens end and Scalepoint is away in between; at the end nothing is lost or doubled.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.cache import cache

from devtools.processes import free_port, is_free
from scalepoint_integration.client import keys
from scalepoint_integration.models import (
    Case,
    Connection,
    InboundEvent,
    OutboundEvent,
    Payment,
    PollerState,
    Revision,
    Settlement,
    SettlementPull,
)
from scalepoint_integration.sending import outbox
from scalepoint_integration.simulator import server as simulator
from scalepoint_integration.simulator import webhooks
from tasks.models import Task, TaskNote
from tests.support.live import PATH, Scalepoint, Site, eventually, site
from tests.support.world import SECRET, assignment, make_world, merged

TOKEN = "b.7b0c1f5e-5d0f-4a7e-9f10-000000000002"
BLOCK = {"uuid": "7b0c1f5e-5d0f-4a7e-9f10-000000000002", "token": TOKEN}
HEADER = {"payloadVersion": "1.0.0", "correlationId": "7b0c1f5e-5d0f-4a7e-9f10-00000000000a"}
NEW = {**HEADER, "eventType": "case_created", "timestamp": "2031-05-06T07:00:00Z", "case": {"token": TOKEN}}
# By polling no token says whose case it is: the alias does. And the number is what we are asked for.
REQUESTED = merged(assignment(), {"case": {"number": None}, "images": None})
MESSAGE = {
    **HEADER,
    "eventType": "message_received",
    "timestamp": "2031-05-06T09:00:00Z",
    "case": BLOCK,
    "message": {
        "id": "m-1",
        "channel": "email",
        "sender": {"name": "Inga Eksempelsen"},
        "content": "Hvornår kommer I?",
    },
}
SETTLED = {
    **HEADER,
    "eventType": "case_settled",
    "timestamp": "2031-05-06T10:00:00Z",
    "case": BLOCK,
    "settlement": {"approvedBy": {"name": "handler", "type": "user"}, "revisionToken": "rev-7b0c1f5e-0001"},
    "parties": [{"$id": "/parties/0", "name": "Tømrer Eksempel"}, {"$id": "/parties/1", "name": "Nord"}],
    "payments": [
        {
            "uuid": "7b0c1f5e-5d0f-4a7e-9f10-0000000000aa",
            "total": 1000.5,
            "currencyCode": "DKK",
            "payerParty": {"$ref": "/parties/1"},
            "payeeParty": {"$ref": "/parties/0"},
        }
    ],
}
STORY = [NEW, REQUESTED, MESSAGE, SETTLED]


def story(number: int) -> list[Any]:
    """The story again, about another damage; ``number`` from 2 on."""
    text = json.dumps([NEW, MESSAGE, SETTLED]).replace("000000000", f"{number:09d}")
    new, message, settled = json.loads(text.replace("m-1", f"m-{number}").replace("f5e-0001", f"f5e-{number:04d}"))
    requested = merged(assignment(number), {"case": {"number": None}, "images": None})
    return [new, requested, message, settled]


def introduce(url: str, scalepoint: Any) -> None:
    """Our world, and Scalepoint: each knows the other."""
    connection = make_world(
        client_id="firm-eksempel",
        tenant="firm",
        token_url=f"{url}/connect/token",
        api_url=url,
        ecx_url=url,
        send_case_number=True,
        send_messages=True,
        send_payment_status=True,
    ).connection
    key = keys.make_key(connection)
    key.registered = True
    key.save()
    scalepoint.register_client(client_id="firm-eksempel", certificates=[keys.certificate_for_scalepoint(key)])


@pytest.fixture
def both(transactional_db: None) -> Iterator[tuple[Site, Any]]:
    cache.clear()
    with ExitStack() as stack:
        server = stack.enter_context(simulator.start())
        scalepoint = server.scalepoint
        introduce(server.url, scalepoint)
        scalepoint.behave(hold=2.0)
        for event in STORY:
            scalepoint.know(event)
        made = stack.enter_context(site(SCALEPOINT_CLIENT_TRUSTED_ORIGINS=server.url))
        made.web()
        made.worker("events", "scalepoint", 1)
        made.worker("others", "scalepoint-images,scalepoint-outbound", 2)
        made.beat()
        yield made, scalepoint


def told(site: Site, scalepoint: Any) -> None:
    """What must hold at the end, whichever way the story came."""
    eventually(lambda: set(InboundEvent.objects.values_list("status", flat=True)) == {"done"}, 60)
    assert InboundEvent.objects.count() == len(STORY)
    assert Case.objects.count() == Task.objects.count() == 1
    eventually(lambda: scalepoint.case(TOKEN)["number"] != "", 60, lambda: site.log("others").read_text()[-2000:])
    case = Case.objects.get()
    assert scalepoint.case(TOKEN)["number"] == f"2332-{case.pk}"
    assert TaskNote.objects.filter(text__contains="Hvornår kommer I?").count() == 1
    eventually(lambda: Revision.objects.count() == 1, 60, lambda: site.log("others").read_text()[-2000:])
    payment = Payment.objects.get()
    outbox.send_payment_status(case, payment.uuid, "processed")
    eventually(lambda: scalepoint.payment(payment.uuid) == "processed", 60)
    eventually(lambda: set(OutboundEvent.objects.values_list("status", flat=True)) == {"done"}, 30)
    taken = [each for each in scalepoint.received("send") if each["status"] == 202]
    assert len(taken) == OutboundEvent.objects.count() == 2


def test_by_push_with_an_access_token_of_ours(both: tuple[Site, Any]) -> None:
    made, scalepoint = both
    address = f"http://127.0.0.1:{made.port}{PATH}"
    client = {"token_url": f"{address}token", "client_id": "invented-user", "client_secret": SECRET}
    outcome = webhooks.push_events(scalepoint, STORY, address, client=client, copies=2, shuffle=7)
    assert not outcome.errors
    told(made, scalepoint)


def test_by_long_polling_with_tokens_that_end_and_a_scalepoint_that_is_away(both: tuple[Site, Any]) -> None:
    made, scalepoint = both
    Connection.objects.update(poll=True)
    scalepoint.queue_events(STORY[:2])
    polling = made.manage("scalepoint_poll")
    eventually(lambda: InboundEvent.objects.count() == 2, 60, lambda: made.log("scalepoint_poll").read_text()[-2000:])
    scalepoint.revoke_tokens()
    scalepoint.fail("receive", 503, times=3, seconds=1)
    scalepoint.queue_events(STORY[2:])
    eventually(lambda: InboundEvent.objects.count() == 4, 90, lambda: made.log("scalepoint_poll").read_text()[-2000:])
    assert polling.poll() is None
    told(made, scalepoint)


TOKEN_SECONDS = 3.0


@pytest.fixture
def apart(transactional_db: None) -> Iterator[tuple[Site, Scalepoint]]:
    """Both sides as processes of their own, so that Scalepoint's can be killed."""
    cache.clear()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    clocks = "tests.support.quick_settings"
    with site(SCALEPOINT_CLIENT_TRUSTED_ORIGINS=url, DJANGO_SETTINGS_MODULE=clocks) as made:
        scalepoint = Scalepoint(made, port)
        introduce(url, scalepoint)
        scalepoint.behave(hold=30.0, token_lifetime=TOKEN_SECONDS)
        Connection.objects.update(poll=True)
        made.worker("events", "scalepoint", 1)
        made.worker("others", "scalepoint-images,scalepoint-outbound", 2)
        made.beat()
        made.web()
        made.manage("scalepoint_poll")
        yield made, scalepoint


def test_scalepoint_is_killed_in_the_middle_and_everything_arrives_once(apart: tuple[Site, Scalepoint]) -> None:
    made, scalepoint = apart
    stories = [story(number) for number in (2, 3, 4)]
    tokens = [events[0]["case"]["token"] for events in stories]

    # The first story comes and goes undisturbed.
    scalepoint.queue_events(events=stories[0])
    eventually(lambda: Revision.objects.count() == 1 and scalepoint.case(token=tokens[0])["number"] != "", 30)

    # The second is under way: its number was taken and not answered yet, nor was its settlement given, and more waits.
    scalepoint.fail(place="send", what="slow", seconds=60)
    scalepoint.fail(place="settlement", what="slow", seconds=60)
    scalepoint.queue_events(events=stories[1])
    assert len(scalepoint.wait_received(place="send", count=2, seconds=20)) == 2
    assert len(scalepoint.wait_received(place="settlement", count=2, seconds=20)) == 2
    first, second = Case.objects.order_by("pk")
    outbox.send_message(first, "Besigtigelse", "Vi kommer på tirsdag.")
    outbox.send_payment_status(first, stories[0][3]["payments"][0]["uuid"], "processed")
    eventually(lambda: InboundEvent.objects.filter(status="done").count() == 8, 20)
    assert scalepoint.wait_holding(count=1) == 1
    logins = len(scalepoint.received(place="token"))
    assert OutboundEvent.objects.filter(status="pending").count() == 3
    assert Revision.objects.count() == 1

    scalepoint.kill()
    killed = time.monotonic()
    assert is_free(scalepoint.port)
    # Long enough for everybody to run into it more than once, and for every access token to end.
    outbox.send_message(second, "Tilbud", "Tilbuddet er på vej.")
    oldest = OutboundEvent.objects.filter(status="pending", error_code="SP-401", attempts__gte=2)
    eventually(lambda: oldest.count() == 2, 20, lambda: list(OutboundEvent.objects.values()))
    eventually(lambda: SettlementPull.objects.filter(status="pending", error_code="SP-401").count() == 1, 20)
    eventually(lambda: PollerState.objects.get().problem == "SP-401", 20)
    eventually(lambda: time.monotonic() > killed + TOKEN_SECONDS, 20)
    assert OutboundEvent.objects.filter(status="pending").count() == 4

    scalepoint.restart()
    scalepoint.queue_events(events=stories[2])
    # As if that were not enough, all of it comes a second and third time, the other way in.
    address = f"http://127.0.0.1:{made.port}{PATH}"
    client = {"token_url": f"{address}token", "client_id": "invented-user", "client_secret": SECRET}
    everything = [event for events in stories for event in events]
    outcome = scalepoint.push(events=everything, endpoint=address, client=client, copies=2, shuffle=7)
    assert (outcome["accepted"], outcome["errors"]) == (12, [])

    done = {"done"}
    for queue, count in ((InboundEvent, 12), (OutboundEvent, 6), (SettlementPull, 3)):
        rows = queue.objects.all()
        eventually(lambda rows=rows, count=count: rows.filter(status="done").count() == count, 40, made.tails)
        assert set(rows.values_list("status", flat=True)) == done
        assert rows.count() == count
    eventually(lambda: PollerState.objects.get().problem == "", 20)

    # Ours: nothing lost, nothing doubled.
    for model in (Case, Task, Settlement, Payment, Revision):
        assert model.objects.count() == 3, model
    assert TaskNote.objects.filter(text__contains="Hvornår kommer I?").values("task").distinct().count() == 3
    assert TaskNote.objects.filter(text__contains="Hvornår kommer I?").count() == 3

    # Theirs: every number, message and status, each with its effect once.
    numbers = {f"b.{case.case_id}": f"2332-{case.pk}" for case in Case.objects.all()}
    assert {token: scalepoint.case(token=token)["number"] for token in tokens} == numbers
    messages = [[each["text"] for each in scalepoint.case(token=token)["messages"]] for token in tokens]
    assert messages == [["Vi kommer på tirsdag."], ["Tilbuddet er på vej."], []]
    statuses = [scalepoint.payment(uuid=events[3]["payments"][0]["uuid"]) for events in stories]
    assert statuses == ["processed", "", ""]
    # Only what was on the line when Scalepoint died was sent again, under its correlation id: nobody knew the outcome.
    sent = scalepoint.received(place="send")
    assert {each["status"] for each in sent} == {202}
    times = Counter(each["event"]["correlationId"] for each in sent)
    repeated = [each["event"] for each in sent if each["repeat"]]
    assert len(times) == 6
    assert sorted(times.values()) == [1, 1, 1, 1, 1, 2]
    assert [(each["eventType"], each["case"]["token"]) for each in repeated] == [("case_created", tokens[1])]
    asked = Counter(each["token"] for each in scalepoint.received(place="settlement") if each["status"] == 200)
    assert [asked[events[3]["settlement"]["revisionToken"]] for events in stories] == [1, 2, 1]
    assert sum(each["count"] for each in scalepoint.received(place="receive") if each["status"] == 200) == 12
    assert len(scalepoint.received(place="token")) > logins
