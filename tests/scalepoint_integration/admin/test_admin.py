"""The pages: they render, for a recorded number of queries, and whoever may only look can do nothing else."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from crm.models import Customer
from scalepoint_integration import queues
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent, PollerState, Refusal
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task
from tests.support.world import SECRET, World, assignment, handle, merged

APP = "scalepoint_integration"
# Queries of a list with 30 rows, and of a page; a new one needs a reason. The list of cases: the choices of four
# filters, the counts of the tabs, the saved views, and the images and the tasks of its rows.
LISTS = {"connection": 4, "case": 12, "inboundevent": 10, "refusal": 8}
PAGES = {"connection": 21, "case": 45, "inboundevent": 14, "refusal": 7}


@pytest.fixture
def filled(world: World) -> World:
    handle(world, *(assignment(number) for number in range(1, 29)))
    world.default_values.phone_as_customer_number = True
    world.default_values.save()
    handle(world, merged(assignment(29), {"policyHolder": {"phoneNumber": None}}), {"eventType": "unheard_of"})
    for number in range(30):
        Refusal.objects.create(
            connection=world.connection, http_status=400, code="SP-104", incident=f"i{number}", body=b"<b>not json</b>"
        )
    return world


def client_of(*permissions: str, superuser: bool = False) -> Client:
    user = get_user_model().objects.create_user("ole", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def url(model: str, page: str, *args: Any) -> str:
    return reverse(f"admin:{APP}_{model}_{page}", args=args)


@pytest.mark.parametrize("model", LISTS)
def test_lists_take_the_recorded_number_of_queries(
    filled: World, model: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_of(superuser=True)
    with django_assert_num_queries(LISTS[model]):
        response = client.get(url(model, "changelist"))
    assert response.status_code == 200


@pytest.mark.parametrize("model", PAGES)
def test_pages_take_at_most_the_recorded_number_of_queries(
    filled: World, model: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_of(superuser=True)
    rows = {"connection": Connection, "case": Case, "inboundevent": InboundEvent, "refusal": Refusal}[model].objects
    with django_assert_max_num_queries(PAGES[model]):
        response = client.get(url(model, "change", rows.order_by("pk")[0].pk))
    assert response.status_code == 200


def test_every_list_and_every_page_of_every_status_renders(filled: World) -> None:
    client = client_of(superuser=True)
    for model, rows in (("case", Case), ("inboundevent", InboundEvent), ("refusal", Refusal)):
        assert client.get(url(model, "changelist"), {"q": "20310506-07"}).status_code == 200
        for row in rows.objects.all():
            assert client.get(url(model, "change", row.pk)).status_code == 200
    for status in Case.Status:
        Case.objects.update(status=status)
        assert client.get(url("case", "changelist"), {"status": status.value}).status_code == 200


def test_search_finds_a_case_by_its_whole_number(filled: World) -> None:
    client = client_of(superuser=True)
    response = client.get(url("case", "changelist"), {"q": "20310506-00007"})
    assert [case.number for case in response.context["cl"].result_list] == ["20310506-00007"]
    response = client.get(url("case", "changelist"), {"q": "20310506-00007-3"})
    assert [case.number for case in response.context["cl"].result_list] == ["20310506-00007"]
    response = client.get(url("inboundevent", "changelist"), {"q": "20310506-00007"})
    assert response.context["cl"].result_count == 1


def test_a_problem_is_told_in_words(filled: World) -> None:
    page = client_of(superuser=True).get(url("case", "changelist"), {"status": "needs_action"}).content.decode()
    assert "The policyholder has no phone number" in page
    case = Case.objects.get(status="needs_action")
    page = page_for_ole(url("case", "change", case.pk))
    assert "Choose a customer on the case" in page
    assert "SP-204" not in page


def page_for_ole(address: str) -> str:
    user = get_user_model().objects.get(username="ole")
    client = Client()
    client.force_login(user)
    return client.get(address).content.decode()


def test_the_address_is_ready_to_copy(world: World, settings: Settings) -> None:
    page = client_of(superuser=True).get(url("connection", "change", world.connection.pk)).content.decode()
    assert 'value="http://testserver/api/scalepoint/v1/2332/"' in page
    settings.SCALEPOINT = {"PUBLIC_BASE_URL": "https://firma.example"}
    page = page_for_ole(url("connection", "change", world.connection.pk))
    assert 'value="https://firma.example/api/scalepoint/v1/2332/"' in page


def test_a_secret_is_never_shown_again(world: World) -> None:
    client = client_of(superuser=True)
    page = client.get(url("connection", "change", world.connection.pk)).content.decode()
    assert SECRET not in page
    form = {name: value for name, value in initial(client, world).items() if value is not None}
    assert client.post(url("connection", "change", world.connection.pk), form).status_code == 302
    connection = Connection.objects.get()
    assert connection.secret == SECRET  # left empty, it stays
    form["secret"] = "another-invented-secret"
    client.post(url("connection", "change", world.connection.pk), form)
    assert Connection.objects.get().secret_last4 == "cret"
    history = client.get(url("connection", "history", world.connection.pk)).content.decode()
    assert "another-invented-secret" not in history


def initial(client: Client, world: World) -> dict[str, Any]:
    form = client.get(url("connection", "change", world.connection.pk)).context["adminform"].form
    no_keys = {"keys-TOTAL_FORMS": 0, "keys-INITIAL_FORMS": 0}
    return {**{name: form[name].value() for name in form.fields}, **no_keys}


def test_saving_writes_what_was_changed_and_nothing_else(world: World) -> None:
    """The poller writes meanwhile, and the default values have a page of their own."""
    client = client_of(superuser=True)
    form = {name: value for name, value in initial(client, world).items() if value is not None}

    def poll(**_signal: Any) -> None:
        PollerState.objects.update(cursor="of the poller")

    pre_save.connect(poll, sender=Connection)
    try:
        changed = {"switch": "paused", "case_name_template": "[Sagsnummer]", "cursor": "forged"}
        assert client.post(url("connection", "change", world.connection.pk), form | changed).status_code == 302
    finally:
        pre_save.disconnect(poll, sender=Connection)
    saved = Connection.objects.get()
    assert (saved.switch, saved.poller_state.cursor) == ("paused", "of the poller")
    assert saved.default_values.case_name_template == "Scalepoint: [SagsNummerIScalePoint]"
    assert saved.history.latest().history_user.username == "ole"


def test_who_may_only_look_can_do_nothing_else(filled: World) -> None:
    client = client_of("view_case", "view_inboundevent", "view_connection", "view_refusal")
    event = InboundEvent.objects.filter(status="failed").get()
    case = Case.objects.get(status="needs_action")
    before = list(InboundEvent.objects.order_by("pk").values("status", "attempts", "claims"))
    for action in ("retry", "replay"):
        client.post(url("inboundevent", "changelist"), {"action": action, "_selected_action": [event.pk]})
    for action in ("retry", "fetch_images_again", "delete_selected"):
        client.post(url("case", "changelist"), {"action": action, "_selected_action": [case.pk], "post": "yes"})
    for model, row in (("case", case), ("connection", filled.connection), ("inboundevent", event)):
        assert client.post(url(model, "change", row.pk), {"status": "closed", "switch": "off"}).status_code == 403
        assert client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert client.post(url(model, "add"), {}).status_code == 403
    assert list(InboundEvent.objects.order_by("pk").values("status", "attempts", "claims")) == before
    case.refresh_from_db()
    assert case.status == "needs_action"
    assert Connection.objects.get().switch == "on"


def test_raw_content_needs_its_own_permission(filled: World) -> None:
    event = InboundEvent.objects.order_by("pk")[0]
    refusal = Refusal.objects.order_by("pk")[0]
    looks = client_of("view_inboundevent", "view_refusal")
    assert "damageDescription&quot;" not in looks.get(url("inboundevent", "change", event.pk)).content.decode()
    assert "not json" not in looks.get(url("refusal", "change", refusal.pk)).content.decode()
    get_user_model().objects.get(username="ole").user_permissions.add(
        Permission.objects.get(codename="view_raw_payload")
    )
    assert "damageDescription&quot;" in page_for_ole(url("inboundevent", "change", event.pk))
    assert "&lt;b&gt;not json" in page_for_ole(url("refusal", "change", refusal.pk))


def test_the_office_solves_a_case_and_retries(filled: World) -> None:
    client = client_of(superuser=True)
    case = Case.objects.get(status="needs_action")
    chosen = Customer.objects.order_by("pk")[3]
    form = {
        "status": "needs_action",
        "insurer": case.insurer_id,
        "customer": chosen.pk,
    }
    inlines = ("services", "messages", "attachments", "case_notes", "reserves", "settlements", "revisions")
    for inline in inlines:
        form |= {f"{inline}-TOTAL_FORMS": 0, f"{inline}-INITIAL_FORMS": 0}
    assert client.post(url("case", "change", case.pk), form).status_code == 302
    tasks = Task.objects.count()
    client.post(url("case", "changelist"), {"action": "retry", "_selected_action": [case.pk]})
    drain(queues.EVENTS)
    case.refresh_from_db()
    assert (case.status, case.problem_code) == ("in_progress", "")
    assert Task.objects.count() == tasks + 1
    assert Task.objects.order_by("-pk")[0].customer == chosen


def test_replay_makes_a_new_line_and_no_second_task(filled: World) -> None:
    client = client_of(superuser=True)
    event = InboundEvent.objects.filter(status="done").order_by("pk")[0]
    before = Task.objects.count()
    client.post(url("inboundevent", "changelist"), {"action": "replay", "_selected_action": [event.pk]})
    drain(queues.EVENTS)
    assert [row.status for row in event.replays.all()] == ["done"]
    assert Task.objects.count() == before


def test_missing_images_are_fetched_again(filled: World) -> None:
    ImagePull.objects.update(status="failed", error_code="SP-301")
    client = client_of(superuser=True)
    case = Case.objects.order_by("pk")[0]
    page = client.get(url("case", "change", case.pk)).content.decode()
    assert "An image could not be fetched" in page
    client.post(url("case", "changelist"), {"action": "fetch_images_again", "_selected_action": [case.pk]})
    assert ImagePull.objects.filter(status="pending").count() == 1


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", " javascript:alert(1)"])
def test_a_dangerous_address_is_never_a_link(world: World, address: str) -> None:
    handle(world, merged(assignment(), {"case": {"url": address}}))
    client = client_of(superuser=True)
    task = reverse("admin:scalepoint_tasks_task_change", args=[Task.objects.get().pk])
    for page in (url("case", "change", Case.objects.get().pk), task):
        text = client.get(page).content.decode()
        assert f'href="{address.strip()}' not in text
        assert f'href="{address}' not in text


def test_what_scalepoint_wrote_is_text_everywhere(world: World) -> None:
    evil = "<script>alert(1)</script>"
    event = assignment()
    for name in ("number", "damageType", "damageDescription", "responsibility"):
        event["case"][name] = evil
    event["policyHolder"]["name"] = evil
    event["contacts"][0]["name"] = event["service"]["referenceNumber"] = event["images"][0]["fileName"] = evil
    event["correlationId"] = event["payloadVersion"] = evil
    handle(world, event)
    ImagePull.objects.update(status="failed", error_code="SP-301")
    client = client_of(superuser=True)
    pages = [url("case", "changelist"), url("case", "change", Case.objects.get().pk)]
    pages += [url("inboundevent", "changelist"), url("inboundevent", "change", InboundEvent.objects.get().pk)]
    task = Task.objects.get()
    pages += [
        reverse("admin:scalepoint_tasks_task_changelist"),
        reverse("admin:scalepoint_tasks_task_change", args=[task.pk]),
    ]
    pages += [reverse("admin:scalepoint_crm_customer_changelist"), reverse("admin:index")]
    for page in pages:
        text = client.get(page).content.decode()
        assert "<script>alert" not in text, page
