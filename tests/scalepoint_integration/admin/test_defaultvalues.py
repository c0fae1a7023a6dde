"""Screen 3: the default values are shown with who wins, tried without harm, and saved with a reason."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from crm.models import Customer, Team
from scalepoint_integration.models import Case, Connection, DefaultValues, InboundEvent, PollerState, Service
from tasks.models import Task, TaskTemplate
from tests.support.forms import form
from tests.support.world import World, assignment, handle, merged

LIST = reverse("admin:scalepoint_integration_defaultvalues_changelist")
# Queries of the page with thirty cases; and with the table of ten cases twice.
PAGE, TABLE = 32, 150


def address(world: World, page: str = "change") -> str:
    return reverse(f"admin:scalepoint_integration_defaultvalues_{page}", args=[world.connection.pk])


def client_of(*permissions: str, superuser: bool = False, name: str = "ole") -> Client:
    user = get_user_model().objects.create_user(name, is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def everything() -> dict[str, list[dict[str, Any]]]:
    kept: tuple[type[models.Model], ...] = (
        Connection,
        DefaultValues,
        Case,
        Service,
        Task,
        Customer,
        InboundEvent,
        Team,
    )
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in kept}


@pytest.fixture
def office(db: None) -> Client:
    return client_of(superuser=True)


def test_the_page_goes_to_the_only_connection_and_lets_choose_of_several(world: World, office: Client) -> None:
    assert office.get(LIST).headers["location"] == address(world)
    other = Connection.objects.create(contract_number="9999")
    text = office.get(LIST).content.decode()
    assert address(world) in text and "9999" in text
    assert str(other.pk) in office.get(f"{LIST}?connection={other.pk}").headers["location"]


def test_without_a_connection_the_page_says_what_to_do(office: Client) -> None:
    assert "There is no connection to Scalepoint yet" in office.get(LIST).content.decode()


def test_all_values_are_there_with_who_wins(world: World, office: Client) -> None:
    world.nord.team = Team.objects.create(name="Nords team")
    world.nord.save()
    page = office.get(address(world)).content.decode()
    for label in ("Default team", "Responsible user", "Task template", "Customer type for new customers", "Order type"):
        assert label in page, label
    for label in ("Case group", "Price group", "Margin group", "Department", "Carrier", "Purpose", "CVR number"):
        assert label in page, label
    assert "An insurance company's own value comes first: Nord Forsikring (eksempel): Nords team." in page
    assert "Then this value. The customer&#x27;s own is used where this is empty." in page
    assert "[CaseNumber]" in page and "[PolicyNumber]" in page
    DefaultValues.objects.update(winner="customer")
    assert "This value is used where the customer has none." in office.get(address(world)).content.decode()


def test_where_nothing_is_in_use_the_page_leads_to_where_it_is_made(world: World, office: Client) -> None:
    add = reverse("admin:scalepoint_tasks_tasktemplate_add")
    makes = f'There is nothing to choose yet. <a href="{add}">Add Task template</a>'
    assert makes not in office.get(address(world)).content.decode()
    TaskTemplate.objects.update(active=False)
    assert makes in office.get(address(world)).content.decode()
    reader = client_of("view_defaultvalues", "change_defaultvalues", name="inga")
    assert makes not in reader.get(address(world)).content.decode()


def test_the_preview_without_any_case_is_the_built_in_example(world: World, office: Client) -> None:
    handle(world, assignment())
    Case.objects.update(is_test=True)
    text = office.get(address(world)).content.decode()
    assert "a built-in example" in text and "»Scalepoint: 905709«" in text and "(18 of 200 characters)" in text
    Case.objects.update(is_test=False)
    text = office.get(address(world)).content.decode()
    assert "the latest case, 20310506-07" in text and "»Scalepoint: 20310506-07«" in text


@pytest.mark.parametrize("button", ["_preview", "_try"])
def test_looking_shows_what_would_be_and_changes_nothing(world: World, office: Client, button: str) -> None:
    for number in range(1, 13):
        handle(world, assignment(number))
    Customer.objects.create(name="Jens", customer_number="00112233")
    west = Team.objects.create(name="Vest")
    data = form(office.get(address(world)))
    before = everything()
    change = {"case_name_template": "Skade i [By]", "team": str(west.pk), "phone_as_customer_number": "on"}
    response = office.post(address(world), data | change | {button: "1"})
    text = response.content.decode()
    assert everything() == before and LogEntry.objects.count() == 0
    assert "»Skade i Odense C«" in text and "»Customer 00112233 Jens (already exists)«" in text
    assert ("Tried on the latest cases" in text) is (button == "_try")
    if button == "_try":
        assert len(response.context["table"]) == 10
        newest = response.context["table"][0]["cells"]
        assert [(str(was), str(now)) for was, now, differs in newest if differs] == [
            ("Scalepoint: 20310506-00012", "Skade i Odense C"),
            ("Service", "Vest"),
            ("Customer Inga Eksempelsen (already exists)", "Customer 00112233 Jens (already exists)"),
        ]


def test_the_preview_follows_the_form_without_a_page(world: World, office: Client) -> None:
    handle(world, assignment())
    data = form(office.get(address(world))) | {"case_name_template": "[Forsikringstager] <b>"}
    before = everything()
    text = office.get(address(world, "preview"), data).content.decode()
    assert "»Inga Eksempelsen &lt;b&gt;«" in text and "<html" not in text
    assert (
        "exist. Did you mean [Sagsnummer]?"
        in office.get(address(world, "preview"), data | {"case_name_template": "[Sagsnummr]"}).content.decode()
    )
    assert office.post(address(world, "preview"), data).status_code == 405
    assert everything() == before


def test_several_customers_and_no_number_are_told_in_words(world: World, office: Client) -> None:
    handle(world, assignment())
    DefaultValues.objects.update(phone_as_customer_number=True)
    Customer.objects.bulk_create([Customer(name=name, customer_number="00112233") for name in "AB"])
    text = office.get(address(world)).content.decode()
    assert "»You will be asked«" in text and "Several customers match (00112233)." in text
    handle(world, merged(assignment(2), {"policyHolder": {"phoneNumber": None}}))
    assert "The policyholder has no phone number." in office.get(address(world)).content.decode()
    data = form(office.get(address(world))) | {"no_phone": "new", "_preview": "1"}
    assert "»Customer Inga Eksempelsen (will be created)«" in office.post(address(world), data).content.decode()


def test_saving_keeps_who_and_why_and_touches_nothing_else(world: World, office: Client) -> None:
    me = get_user_model().objects.get(username="ole")
    data = form(office.get(address(world)))
    PollerState.objects.update(cursor="moved-meanwhile")
    change = {"new_cases": "inbox", "winner": "customer", "silence_days": "5", "failure_recipients": str(me.pk)}
    assert office.post(address(world), data | change | {"reason": "Vi vil se dem først"}).status_code == 302
    connection, saved = Connection.objects.get(), DefaultValues.objects.get()
    assert (saved.new_cases, saved.winner, saved.silence_days) == ("inbox", "customer", 5)
    assert (connection.secret, connection.switch) == (world.connection.secret, "on")
    assert (saved.team, connection.poller_state.cursor) == (world.default_values.team, "moved-meanwhile")
    assert connection.history.count() == 1
    assert list(saved.failure_recipients.all()) == [me]
    record = saved.history.latest()
    assert (record.history_user, record.history_change_reason) == (me, "Vi vil se dem først")
    assert LogEntry.objects.count() == 1
    assert "Vi vil se dem først" in office.get(address(world)).content.decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"case_name_template": "[sagnr]"}, "The field [sagnr] does not exist. Did you mean [Sagsnummer]?"),
        ({"company_tax_id": "12345678"}, "This is not a valid CVR number."),
        ({"responsible": "gone"}, "The responsible user is no longer active. Choose another"),
    ],
)
def test_what_does_not_hold_is_said_and_not_saved(
    world: World, office: Client, change: dict[str, str], says: str
) -> None:
    if "responsible" in change:
        get_user_model().objects.filter(username="mette").update(is_active=False)
        change = {"responsible": str(world.default_values.responsible_id)}
        assert "The responsible user is no longer active." in office.get(address(world)).content.decode()
    data = form(office.get(address(world))) | {"winner": "customer"} | change
    before = everything()
    response = office.post(address(world), data)
    assert response.status_code == 200 and says in response.content.decode()
    assert everything() == before and LogEntry.objects.count() == 0


def test_reset_asks_first_and_keeps_who_you_are(world: World, office: Client) -> None:
    me = get_user_model().objects.get(username="ole")
    DefaultValues.objects.update(new_cases="inbox", case_name_template="[By]")
    Connection.objects.update(company_name="Opdigtet ApS")
    world.default_values.failure_recipients.add(me)
    text = office.get(address(world, "reset")).content.decode()
    assert "[By]" in text and "Service" in text and DefaultValues.objects.get().new_cases == "inbox"
    assert office.post(address(world, "reset")).status_code == 302
    row, connection = DefaultValues.objects.get(), Connection.objects.get()
    assert (row.new_cases, row.team, row.responsible) == ("automatic", None, None)
    assert (connection.company_name, connection.switch) == ("Opdigtet ApS", "on")
    assert row.case_name_template == "Scalepoint: [SagsNummerIScalePoint]"
    assert row.failure_recipients.get() == me
    assert row.history.latest().history_user == me


def test_who_you_are_is_saved_on_the_connection_and_shown_among_the_changes(world: World, office: Client) -> None:
    data = form(office.get(address(world))) | {"company_name": "Opdigtet ApS", "reason": "Nyt navn"}
    assert office.post(address(world), data).status_code == 302
    assert Connection.objects.get().company_name == "Opdigtet ApS"
    record = Connection.history.latest()
    assert (record.history_user.username, record.history_change_reason) == ("ole", "Nyt navn")
    assert DefaultValues.history.latest().history_user is None  # of the world's making: nothing was changed there
    assert "Nyt navn" in office.get(address(world)).content.decode()


def test_the_history_page_tells_of_these_values(world: World, office: Client) -> None:
    data = form(office.get(address(world))) | {"new_cases": "inbox"}
    office.post(address(world), data)
    text = office.get(reverse("admin:scalepoint_integration_defaultvalues_history", args=[world.connection.pk]))
    assert "Put it in the inbox" in text.content.decode()
    nobody = client_of("view_case", name="inga")
    assert nobody.get(text.request["PATH_INFO"]).status_code == 403


def test_who_may_only_look_sees_and_changes_nothing(world: World, office: Client) -> None:
    handle(world, assignment())
    data = form(office.get(address(world))) | {"winner": "customer"}
    get_user_model().objects.filter(username="ole").delete()
    before = everything()
    looker = client_of("view_defaultvalues")
    text = looker.get(address(world)).content.decode()
    assert 'name="_save"' not in text and "Inga Eksempelsen" not in text and "a built-in example" in text
    assert looker.post(address(world), data).status_code == 403
    assert looker.post(address(world, "reset")).status_code == 403
    assert looker.get(address(world, "reset")).status_code == 403
    assert looker.post(address(world), data | {"_try": "1"}).status_code == 200
    assert everything() == before
    get_user_model().objects.filter(username="ole").delete()
    nobody = client_of("view_case")
    for page in (LIST, address(world), address(world, "preview")):
        assert nobody.get(page).status_code == 403, page


def test_the_page_takes_the_recorded_number_of_queries(
    world: World, office: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    handle(world, *(assignment(number) for number in range(1, 31)))
    with django_assert_max_num_queries(PAGE):
        page = office.get(address(world))
    with django_assert_max_num_queries(TABLE):
        office.post(address(world), form(page) | {"_try": "1"})
