"""Every error of the catalogue happens for real, through the real doors, and the office reads what happened, what to do
and who can, in both languages, on the page where it shows."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.signing import TimestampSigner, b62_encode
from django.db import connection as database
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from crm.models import Customer, SecurityToken
from scalepoint_integration import queues
from scalepoint_integration.client import token
from scalepoint_integration.client.keys import make_key
from scalepoint_integration.errors import CATALOGUE, describe
from scalepoint_integration.models import Case, Connection, InboundEvent, Notice, OutboundEvent, Refusal, SettlementPull
from scalepoint_integration.payloads.envelope import read_envelope
from scalepoint_integration.receiving import issued, poller, store
from scalepoint_integration.sending import outbox
from scalepoint_integration.workqueue import PermanentError
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task
from tests.scalepoint_integration.client.conftest import each_in_turn, give_tokens, json_response
from tests.support.world import CONTRACT, NORD_TOKEN, World, assignment, handle, make_world, merged, receive

EVENT = assignment()
PATH = f"/api/scalepoint/v1/{CONTRACT}/"
EVENTS = re.compile(r".*/send$")
RECEIVE = re.compile(r".*/receive$")


@dataclass
class Site:
    """What a way may use: the site's rows and settings, and a Scalepoint on loopback."""

    world: World
    settings: Settings
    scalepoint: HTTPServer
    monkeypatch: pytest.MonkeyPatch

    def set(self, **options: Any) -> None:
        self.settings.SCALEPOINT = {**self.settings.SCALEPOINT, **{key.upper(): val for key, val in options.items()}}


# An address of the admin; None where there is none to be shown on, see ANSWERED.
Page = str | None
Way = Callable[[Site], Page]


@pytest.fixture
def site(transactional_db: None, settings: Settings, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Site:
    cache.clear()
    token._loaded.clear()
    httpserver.clear()
    settings.SCALEPOINT = {}
    return Site(make_world(), settings, httpserver, monkeypatch)


def page(model: str, row: Any) -> str:
    return reverse(f"admin:scalepoint_integration_{model}_change", args=[row.pk])


# ---- Through the endpoint -----------------------------------------------------------------------------------------
def post(body: Any = EVENT, path: str = PATH, bearer: str = NORD_TOKEN, **how: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    how.setdefault("content_type", "application/json")
    return Client().post(path, content, headers={"authorization": f"Bearer {bearer}"}, **how)


def refused(status: int, code: str, **request: Any) -> Page:
    answer = post(**request)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert InboundEvent.objects.count() == 0
    return page("refusal", Refusal.objects.get(code=code))


def expired(site: Site) -> Page:
    SecurityToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    return refused(401, "SP-102")


def switched_off(site: Site) -> Page:
    Connection.objects.update(switch="off")
    return refused(403, "SP-103")


def too_large(site: Site) -> Page:
    site.set(max_body_bytes=10, max_body_bytes_with_images=10)
    return refused(413, "SP-113")


def too_many(site: Site) -> Page:
    site.set(max_refused_per_minute=1)
    post(bearer="wrong")
    answer = post(bearer="wrong")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "SP-115")
    return None


def wrong_method(site: Site) -> Page:
    answer = Client().put(PATH, b"{}", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "SP-112")
    return None


def database_away(site: Site) -> Page:
    """The table of events is locked, longer than a sender may be kept waiting."""
    site.set(database_seconds=0.3)
    locked, done = Event(), Event()

    def lock() -> None:
        from django.db import transaction

        try:
            with transaction.atomic(), database.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {InboundEvent._meta.db_table}")
                locked.set()
                done.wait(30)
        finally:
            database.close()

    holder = Thread(target=lock)
    holder.start()
    try:
        assert locked.wait(10)
        answer = post()
    finally:
        done.set()
        holder.join()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SP-116")
    # It comes again, as the sender was asked to, and whatever became of the first it is there once.
    site.set(database_seconds=4)
    assert (post().status_code, InboundEvent.objects.count()) == (202, 1)
    return None


def not_encrypted(site: Site) -> Page:
    site.settings.SECURE_SSL_REDIRECT = True
    site.settings.SECURE_REDIRECT_EXEMPT = [r"^api/scalepoint/"]
    return refused(403, "SP-120")


def access_token_ended(site: Site) -> Page:
    row = SecurityToken.objects.get(company=site.world.nord)
    begun = b62_encode(int(timezone.now().timestamp()) - 3700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimestampSigner, "timestamp", lambda _self: begun)
        old = issued.issue(site.world.connection.pk, row.pk, row.digest)
    return refused(401, "SP-130", bearer=old)


# ---- Events -------------------------------------------------------------------------------------------------------
def event(code: str, body: Any, before: Callable[[Site], None] = lambda _site: None, status: str = "failed") -> Way:
    """Posted, handled, and then with that code; ``before`` prepares the site."""

    def way(site: Site) -> Page:
        before(site)
        answer = post(body)
        assert answer.status_code == 202
        drain(queues.EVENTS)
        row = InboundEvent.objects.get(pk=answer.json()["events"][0]["id"])
        assert (row.status, row.error_code or row.notice) == (status, code)
        return page("inboundevent", row)

    return way


def again(site: Site) -> Page:
    [first, second] = [post().json()["events"][0] for _time in range(2)]
    assert (first["id"], second["status"]) == (second["id"], "duplicate")
    return page("inboundevent", InboundEvent.objects.get())


def unknown_company(site: Site) -> Page:
    said = {
        "eventType": "repair_service_requested",
        "case": {"number": "1", "policy": {"insuranceCompany": {"alias": "ny"}}},
    }
    store.receive(site.world.connection.pk, None, [read_envelope(said)])
    drain(queues.EVENTS)
    row = InboundEvent.objects.get(error_code="SP-111")
    return page("inboundevent", row)


def newer_first(site: Site) -> None:
    handle(site.world, merged(EVENT, {"timestamp": "2031-06-01T00:00:00Z", "correlationId": "newer"}))


def case_first(site: Site) -> None:
    handle(site.world, EVENT)


def company_off(site: Site) -> None:
    site.world.nord.active = False
    site.world.nord.save()


def template_off(site: Site) -> None:
    template: Any = site.world.connection.task_template
    template.active = False
    template.save()


def twins(site: Site) -> None:
    Connection.objects.update(phone_as_customer_number=True)
    for name in ("Den ene", "Den anden"):
        Customer.objects.create(name=name, customer_number="00112233")


def by_phone(site: Site) -> None:
    Connection.objects.update(phone_as_customer_number=True)


def never(event: InboundEvent, payload: Any, now: Any) -> None:
    raise RuntimeError("unforeseen")


def broken(site: Site) -> None:
    site.set(handlers={"x": f"{__name__}.never"}, max_attempts=1)


# ---- Cases --------------------------------------------------------------------------------------------------------
def left(site: Site) -> Page:
    get_user_model().objects.filter(username="mette").update(is_active=False)
    return noticed(site, EVENT, "SP-202")


def long_name(site: Site) -> Page:
    Connection.objects.update(case_name_template="[Skadetype]" * 10)
    return noticed(site, merged(EVENT, {"case": {"damageType": "Vandskade " * 10}}), "SP-205")


def noticed(site: Site, body: Any, code: str) -> Page:
    handle(site.world, body)
    case = Case.objects.get()
    assert case.notices == [code]
    return page("case", case)


def worked_on(site: Site) -> Page:
    handle(site.world, EVENT)
    Task.objects.update(status="in_progress")
    change = {"property": "CaseClosed", "isTerminated": True, "terminationReason": "NotCovered"}
    case = {"uuid": EVENT["case"]["id"], "number": EVENT["case"]["number"]}
    handle(
        site.world,
        {"eventType": "claim_updated", "timestamp": "2031-06-01T00:00:00Z", "case": case, "changes": [change]},
    )
    assert Case.objects.get().flags == [{"code": "SP-206"}]
    return page("case", Case.objects.get())


def image(code: str, ref: dict[str, str]) -> Way:
    def way(site: Site) -> Page:
        handle(site.world, {**EVENT, "images": [ref]})
        drain(queues.IMAGES)
        assert Case.objects.get().services.get().pulls.values_list("status", "error_code").get() == ("failed", code)
        return page("case", Case.objects.get())

    return way


# ---- Calls to Scalepoint ------------------------------------------------------------------------------------------
def calling(site: Site) -> Connection:
    """A connection that is ready to call the Scalepoint on loopback, and a case."""
    origin = site.scalepoint.url_for("").rstrip("/")
    site.set(client_trusted_origins=[origin])
    row = site.world.connection
    row.client_id, row.tenant, row.country = "invented-client", "mytenant", "dk"
    row.token_url, row.api_url, row.ecx_url = f"{origin}/connect/token", origin, f"{origin}/"
    for name in ("send_case_number", "send_messages", "send_files", "send_invoices"):
        setattr(row, name, True)
    row.save()
    made = make_key(row)
    made.registered = True
    made.save()
    give_tokens(site.scalepoint)
    handle(site.world, EVENT)
    return row


def sending(code: str, answer: int, status: str = "failed", **change: str) -> Way:
    """A message that Scalepoint answers so; ``change`` breaks the connection first."""

    def way(site: Site) -> Page:
        calling(site)
        Connection.objects.update(**change)
        site.scalepoint.expect_request(EVENTS).respond_with_handler(each_in_turn(answer))
        case = Case.objects.select_related("connection").get()
        outbox.send_message(case, "Emne", "Vi kommer")
        return sent(code, status)

    return way


def sent(code: str, status: str = "failed") -> Page:
    drain(queues.OUTBOUND)
    row = OutboundEvent.objects.defer("content").get()
    assert (row.status, row.error_code) == (status, code), row.last_error
    return page("outboundevent", row)


def number_there(site: Site) -> Page:
    calling(site)
    outbox.send_case_number(Case.objects.get())
    return sent("SP-411", "ignored")


def no_token(site: Site) -> Page:
    calling(site)
    SecurityToken.objects.update(expires_at=timezone.now())
    user = get_user_model().objects.get(username="mette")
    outbox.send_file(Case.objects.get(), "tag.pdf", b"%PDF", "application/pdf", user)
    return sent("SP-412")


def field_missing(site: Site) -> Page:
    calling(site)
    Case.objects.update(token="")
    outbox.send_message(Case.objects.get(), "Emne", "Vi kommer")
    return sent("SP-413")


def file_too_large(site: Site) -> Page:
    calling(site)
    site.set(file_max_bytes=3)
    with pytest.raises(PermanentError) as refused:
        outbox.send_file(Case.objects.get(), "tag.pdf", b"%PDF", "application/pdf", None)
    assert (refused.value.code, OutboundEvent.objects.count()) == ("SP-414", 0)
    return None


def fetching(site: Site, answer: Any, **state: str) -> Page:
    calling(site)
    Connection.objects.update(poll=True, **state)
    site.monkeypatch.setattr(poller, "_SOONEST", 0.0)
    site.monkeypatch.setattr(poller, "_wait", lambda seconds, stopped: None)
    site.scalepoint.expect_request(RECEIVE).respond_with_handler(answer)
    turns = iter([False, False, True])
    poller.poll(Connection.objects.get(), 60, stopped=lambda: next(turns, True))
    return page("connection", Connection.objects.get())


def place_lost(site: Site) -> Page:
    shown = fetching(site, each_in_turn(404), poll_cursor="_7")
    assert Connection.objects.get().poll_problem == "SP-404"
    return shown


def the_same_again(site: Site) -> Page:
    batch = {"data": [{"id": "_1", "type": "x", "attributes": {"eventType": "x"}}]}
    shown = fetching(site, lambda _request: json_response(batch), poll_cursor="_1")
    assert Connection.objects.get().poll_problem == "SP-415"
    return shown


def another_case(site: Site) -> Page:
    calling(site)
    case = {"uuid": EVENT["case"]["id"], "token": EVENT["case"]["token"], "number": EVENT["case"]["number"]}
    handle(site.world, {"eventType": "case_settled", "case": case, "settlement": {"revisionToken": "r-1"}})
    details = {"settlementDetails": {"revisionToken": "r-1", "status": "SETTLED"}, "case": {"token": "another"}}
    site.scalepoint.expect_request(re.compile(r".*/revision/r-1")).respond_with_handler(
        lambda _request: Response(json.dumps(details))
    )
    drain(queues.SETTLEMENTS)
    assert SettlementPull.objects.values_list("status", "error_code").get() == ("failed", "SP-416")
    return page("case", Case.objects.get())


def two_that_are_one(site: Site) -> Page:
    """Known by its token alone and by its number alone, for two customers; then an event names both."""
    handle(site.world, merged(EVENT, {"case": {"number": None, "id": None, "policy": {"number": "another"}}}))
    handle(site.world, merged(EVENT, {"case": {"token": None, "id": None}, "service": {"id": "s-2"}}))
    both = {"uuid": None, "token": EVENT["case"]["token"], "number": EVENT["case"]["number"]}
    said = {"eventType": "message_received", "case": both, "message": {"id": "m", "content": "Hej"}}
    return event("SP-207", said)(site)


def no_user_name(site: Site) -> Page:
    calling(site)
    user = get_user_model().objects.get(username="mette")
    outbox.send_message(Case.objects.get(), "Emne", "Vi kommer", user)
    return sent("SP-417")


def mail_server_away(site: Site) -> Page:
    get_user_model().objects.update(email="mette@kontor.example")
    site.settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    site.settings.EMAIL_HOST, site.settings.EMAIL_PORT, site.settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 2
    handle(site.world, EVENT)
    drain(queues.NOTICES)
    row = Notice.objects.get()
    assert (row.status, row.error_code) == ("pending", "SP-502")
    return page("notice", row)


def stopped(site: Site) -> Page:
    receive(site.world, EVENT)
    return reverse("admin:scalepoint_integration_inboundevent_changelist")


WAYS: dict[str, Way] = {
    "SP-101": lambda site: refused(401, "SP-101", bearer="invented-and-wrong"),
    "SP-102": expired,
    "SP-103": switched_off,
    "SP-104": lambda site: refused(400, "SP-104", body=b"{"),
    "SP-105": event("SP-105", {"eventType": "message_received", "message": {"content": "Hej"}}),
    "SP-106": event("SP-106", {"eventType": "unheard_of"}, status="ignored"),
    "SP-107": again,
    "SP-108": event("SP-108", EVENT, newer_first, "done"),
    "SP-109": event("SP-109", {"eventType": "case_created", "case": {"uuid": "u", "number": "1"}}, status="done"),
    "SP-110": event("SP-110", merged(EVENT, {"case": {"policy": {"insuranceCompany": {"alias": "sydins"}}}})),
    "SP-111": unknown_company,
    "SP-112": wrong_method,
    "SP-113": too_large,
    "SP-114": lambda site: refused(415, "SP-114", content_type="text/plain"),
    "SP-115": too_many,
    "SP-116": database_away,
    "SP-117": lambda site: refused(404, "SP-117", path="/api/scalepoint/v1/9999/"),
    "SP-118": event("SP-118", EVENT, company_off),
    "SP-119": event("SP-119", merged(EVENT, {"case": {"id": "another"}}), case_first),
    "SP-120": not_encrypted,
    "SP-130": access_token_ended,
    "SP-201": event("SP-201", EVENT, template_off),
    "SP-202": left,
    "SP-203": event("SP-203", EVENT, twins),
    "SP-204": event("SP-204", merged(EVENT, {"policyHolder": {"phoneNumber": None}}), by_phone),
    "SP-205": long_name,
    "SP-206": worked_on,
    "SP-207": two_that_are_one,
    "SP-301": image("SP-301", {"url": "http://127.0.0.1:1/x.jpg"}),
    "SP-302": image("SP-302", {"content": "bm8gcGljdHVyZQ==", "fileName": "x.jpg"}),
    "SP-401": sending("SP-401", 503, "pending"),
    "SP-402": sending("SP-402", 401),
    "SP-403": sending("SP-403", 403),
    "SP-404": place_lost,
    "SP-405": sending("SP-405", 422),
    "SP-409": sending("SP-409", 202, tenant=""),
    "SP-411": number_there,
    "SP-412": no_token,
    "SP-413": field_missing,
    "SP-414": file_too_large,
    "SP-415": the_same_again,
    "SP-416": another_case,
    "SP-417": no_user_name,
    "SP-501": stopped,
    "SP-502": mail_server_away,
    "SP-900": event("SP-900", {"eventType": "x"}, broken),
}
# Told to whom it concerns at once, and stored nowhere: the sender reads the first three, the caller gets the last.
ANSWERED = {"SP-112", "SP-115", "SP-116", "SP-414"}


def test_every_code_has_a_way() -> None:
    assert set(WAYS) == set(CATALOGUE)


@pytest.mark.parametrize("code", WAYS)
def test_it_happens_and_the_office_reads_what_to_do(site: Site, code: str) -> None:
    address = WAYS[code](site)
    assert (address is None) == (code in ANSWERED)
    if address is None:
        return
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    for language in ("en", "da"):
        answer = client.get(address, secure=True, headers={"accept-language": language})
        assert answer.status_code == 200
        shown = " ".join(html.unescape(answer.content.decode()).split())
        with translation.override(language):
            problem = describe(code, {})
            who = problem.who and translation.gettext("Can be fixed by")
        for text in (problem.what, problem.todo):
            # Facts of the case stand where the text has an ellipsis; the steps stand sentence by sentence.
            for part in filter(None, re.split(r"…|\. ", text)):
                assert part in shown, f"{code} in {language}: {part}"
        assert f"{who}" in shown and problem.who in shown, f"{code} in {language}: who"
