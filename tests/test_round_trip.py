"""Both directions at once, with real processes: web, workers and beat here, the stand-in Scalepoint there.

The same story goes the two ways in, by push with an access token of ours and by long-polling; our case number and the
status of a payment go out; tokens end and Scalepoint is away in between; at the end nothing is lost or doubled.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.cache import cache

from scalepoint_integration import keys, outbox
from scalepoint_integration.models import Case, Connection, InboundEvent, OutboundEvent, Payment, Revision
from scalepoint_integration.simulator import server as simulator
from scalepoint_integration.simulator import webhooks
from scalepoint_integration.simulator.settlements import make_settlement
from tasks.models import Task, TaskNote
from tests.live import PATH, Site, eventually, site
from tests.world import SECRET, assignment, make_world, merged

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


@pytest.fixture
def both(transactional_db: None) -> Iterator[tuple[Site, Any]]:
    cache.clear()
    with ExitStack() as stack:
        server = stack.enter_context(simulator.start())
        connection = make_world(
            client_id="firm-eksempel",
            tenant="firm",
            token_url=f"{server.url}/connect/token",
            api_url=server.url,
            ecx_url=server.url,
            send_case_number=True,
            send_payment_status=True,
        ).connection
        key = keys.make_key(connection)
        key.registered = True
        key.save()
        scalepoint = server.scalepoint
        scalepoint.register_client("firm-eksempel", certificates=[keys.certificate_for_scalepoint(key)])
        scalepoint.know_case(TOKEN)
        scalepoint.behave(hold=2.0)
        for event in STORY:
            scalepoint.know(event)
        revision = SETTLED["settlement"]["revisionToken"]  # type: ignore[index]
        answer = make_settlement(revision)
        scalepoint.set_settlement(revision, merged(answer, {"case": {"token": TOKEN, "number": None}}))
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
