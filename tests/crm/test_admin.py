from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from crm.admin.company import TokenInline
from crm.models import Customer, CustomerType, InsuranceCompany, SecurityToken, Team
from tasks.models import Task
from tests.support.forms import form

pytestmark = pytest.mark.django_db
PLAIN = "plain-token-of-nordins-8f3c"
COMPANIES = reverse("admin:scalepoint_crm_insurancecompany_changelist")


@pytest.fixture
def company() -> InsuranceCompany:
    return InsuranceCompany.objects.create(name="Nordins", alias="nordins", country="DK")


def user_with(client: Client, *permissions: str) -> Any:
    user = get_user_model().objects.create_user("mette", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    client.force_login(user)
    return user


def page(company: InsuranceCompany) -> str:
    return reverse("admin:scalepoint_crm_insurancecompany_change", args=[company.pk])


def test_every_page_opens(admin_client: Client, company: InsuranceCompany, django_assert_max_num_queries: Any) -> None:
    team = Team.objects.create(name="Service")
    kind = CustomerType.objects.create(name="Insurance")
    jens = Customer.objects.create(name="Jens", insurer=company, team=team, customer_type=kind)
    SecurityToken.objects.create(company=company, token=PLAIN)
    for row, most in ((team, 6), (kind, 4), (jens, 12), (company, 14)):
        name = row._meta.model_name
        for view, args in (("changelist", []), ("add", []), ("change", [row.pk])):
            with django_assert_max_num_queries(most):
                response = admin_client.get(reverse(f"admin:scalepoint_crm_{name}_{view}", args=args))
            assert response.status_code == 200, (name, view)
            assert PLAIN not in response.content.decode()
    for query in ("?q=nordins", "?active__exact=1"):
        assert admin_client.get(COMPANIES + query).context["cl"].result_count == 1
    for query in ("?responsible=me", "?responsible=none", "?responsible=nobody-such", "?q=jens"):
        found = admin_client.get(reverse("admin:scalepoint_crm_customer_changelist") + query).context["cl"].result_count
        assert found == (1 if query in ("?responsible=none", "?q=jens") else 0), query


@pytest.mark.parametrize("name", ["insurancecompany", "customer"])
def test_long_lists_need_no_more_queries_than_short_ones(
    admin_client: Client, django_assert_num_queries: Any, name: str
) -> None:
    team = Team.objects.create(name="Service")
    for number in range(30):
        company = InsuranceCompany.objects.create(name=f"C{number}", alias=f"c{number}", team=team)
        SecurityToken.objects.create(company=company, token=f"{PLAIN}{number}")
        Customer.objects.create(name=f"Jens {number}", insurer=company)
    # Login 2, count 1, rows 1. Companies: tokens 1, figures 3, refused tries 1, is there any 1. Customers: filters 3.
    with django_assert_num_queries(10 if name == "insurancecompany" else 7):
        response = admin_client.get(reverse(f"admin:scalepoint_crm_{name}_changelist"))
    assert response.context["cl"].result_count == 30


def test_a_token_that_was_given_is_stored_and_never_shown(admin_client: Client, company: InsuranceCompany) -> None:
    data = form(admin_client.get(page(company)))
    assert not any("token" in key and "new_token" not in key and PLAIN in value for key, value in data.items())
    response = admin_client.post(page(company), data | {"tokens-2-0-new_token": f" {PLAIN} "}, follow=True)
    assert next(str(message) for message in response.context["messages"]) == "The token ending in 8f3c was saved."
    assert SecurityToken.objects.get().token == PLAIN
    after = admin_client.get(page(company)).content.decode()
    assert "••••8f3c" in after
    for text in (response.content.decode(), after, admin_client.get(COMPANIES).content.decode()):
        assert PLAIN not in text
    history = admin_client.get(
        reverse("admin:scalepoint_crm_insurancecompany_history", args=[company.pk])
    ).content.decode()
    assert LogEntry.objects.count() == 1
    assert "••••8f3c" in history and PLAIN not in history
    assert PLAIN not in LogEntry.objects.get().change_message


@pytest.mark.parametrize("filled", [{"tokens-2-0-make": "on"}, {"tokens-2-0-label": "ours"}])
def test_a_token_that_was_made_is_shown_once(
    admin_client: Client, company: InsuranceCompany, filled: dict[str, str]
) -> None:
    data = form(admin_client.get(page(company)))
    response = admin_client.post(page(company), data | filled, follow=True)
    made = SecurityToken.objects.get().token
    assert len(made) >= 43
    assert response.content.decode().count(made) == 1
    assert made not in admin_client.get(page(company)).content.decode()
    assert made not in LogEntry.objects.get().change_message


def test_saving_the_page_untouched_makes_no_token_and_keeps_those_there_are(
    admin_client: Client, company: InsuranceCompany
) -> None:
    SecurityToken.objects.create(company=company, token=PLAIN)
    response = admin_client.post(page(company), form(admin_client.get(page(company))), follow=True)
    assert len(list(response.context["messages"])) == 1  # the company was changed; nothing about a token
    assert SecurityToken.objects.get().token == PLAIN


def test_a_token_in_use_elsewhere_is_refused(admin_client: Client, company: InsuranceCompany) -> None:
    other = InsuranceCompany.objects.create(name="Vestjysk", alias="vest")
    SecurityToken.objects.create(company=other, token=PLAIN)
    data = form(admin_client.get(page(company))) | {"name": "Renamed", "tokens-2-0-new_token": PLAIN}
    response = admin_client.post(page(company), data)
    assert response.status_code == 200
    assert "This token is already used by Vestjysk." in response.content.decode()
    assert PLAIN not in response.content.decode()
    company.refresh_from_db()
    assert (company.name, SecurityToken.objects.count(), LogEntry.objects.count()) == ("Nordins", 1, 0)


def test_a_new_company_gets_its_token_with_it(admin_client: Client) -> None:
    add = reverse("admin:scalepoint_crm_insurancecompany_add")
    data = form(admin_client.get(add))
    data |= {"name": "Vestjysk", "alias": "vest", "tokens-2-0-new_token": PLAIN}
    assert admin_client.post(add, data).status_code == 302
    assert SecurityToken.objects.get().company.name == "Vestjysk"


def test_an_old_token_is_given_an_end(admin_client: Client, company: InsuranceCompany) -> None:
    token = SecurityToken.objects.create(company=company, token=PLAIN)
    data = form(admin_client.get(page(company)))
    data |= {"tokens-0-expires_at_0": "2100-01-02", "tokens-0-expires_at_1": "10:00:00"}
    assert admin_client.post(page(company), data).status_code == 302
    token.refresh_from_db()
    assert token.expires_at is not None and token.expires_at.year == 2100
    assert SecurityToken.objects.get().token == PLAIN


def test_the_list_says_which_company_has_no_token(admin_client: Client, company: InsuranceCompany) -> None:
    assert "Token is missing" in admin_client.get(COMPANIES).content.decode()
    SecurityToken.objects.create(company=company, token=PLAIN, expires_at=timezone.now() - timedelta(days=1))
    assert "Token is missing" in admin_client.get(COMPANIES).content.decode()
    SecurityToken.objects.create(company=company, token="another-11aa", valid_from=timezone.now() + timedelta(days=1))
    text = admin_client.get(COMPANIES).content.decode()
    assert "••••11aa, not valid yet" in text and "••••8f3c" not in text


def test_who_may_only_look_changes_nothing(client: Client, admin_client: Client, company: InsuranceCompany) -> None:
    data = form(admin_client.get(page(company))) | {"name": "Changed", "tokens-2-0-new_token": PLAIN}
    user_with(client, "view_insurancecompany")
    assert client.get(page(company)).status_code == 200
    assert client.post(page(company), data).status_code == 403
    assert client.post(reverse("admin:scalepoint_crm_insurancecompany_add"), data).status_code == 403
    assert (
        client.post(
            reverse("admin:scalepoint_crm_insurancecompany_delete", args=[company.pk]), {"post": "yes"}
        ).status_code
        == 403
    )
    assert client.get(reverse("admin:scalepoint_crm_customer_changelist")).status_code == 403
    company.refresh_from_db()
    assert (company.name, InsuranceCompany.objects.count(), SecurityToken.objects.count()) == ("Nordins", 1, 0)


def test_who_may_change_companies_but_not_tokens_adds_none(
    client: Client, admin_client: Client, company: InsuranceCompany
) -> None:
    data = form(admin_client.get(page(company))) | {"name": "Changed", "tokens-2-0-new_token": PLAIN}
    user_with(client, "view_insurancecompany", "change_insurancecompany", "view_securitytoken")
    assert "new_token" not in client.get(page(company)).content.decode()
    assert client.post(page(company), data).status_code == 302
    company.refresh_from_db()
    assert (company.name, SecurityToken.objects.count()) == ("Changed", 0)


def test_deleting_what_has_history_is_refused(admin_client: Client, company: InsuranceCompany) -> None:
    Customer.objects.create(name="Jens", insurer=company)
    address = reverse("admin:scalepoint_crm_insurancecompany_delete", args=[company.pk])
    assert "would require deleting the following protected" in admin_client.get(address).content.decode()
    assert admin_client.post(address, {"post": "yes"}).status_code == 200
    assert InsuranceCompany.objects.count() == 1


def test_only_people_of_the_office_are_offered_and_who_left_stays(
    admin_client: Client, company: InsuranceCompany
) -> None:
    users = get_user_model().objects
    users.create_user("webshop-customer")
    users.create_user("left-long-ago", is_staff=True, is_active=False)
    company.responsible = users.create_user("left-yesterday", is_staff=True, is_active=False)
    company.save()
    data = form(response := admin_client.get(page(company)))
    text = response.content.decode()
    assert "left-yesterday" in text and "left-long-ago" not in text and "webshop-customer" not in text
    assert admin_client.post(page(company), data).status_code == 302
    company.refresh_from_db()
    assert company.responsible is not None and company.responsible.get_username() == "left-yesterday"


@pytest.mark.parametrize("written", ["12.03.2031", "12-03-2031", "12/3-2031", "12/3/2031", "2031-03-12"])
@pytest.mark.parametrize("language", ["da", "en"])
def test_dates_are_taken_as_people_write_them(written: str, language: str) -> None:
    page = admin.site._registry[Task]
    with translation.override(language):
        field = page.formfield_for_dbfield(Task._meta.get_field("deadline"), HttpRequest())
        assert field.clean(written) == date(2031, 3, 12)
        token = TokenInline(InsuranceCompany, admin.site)
        ends = token.formfield_for_dbfield(SecurityToken._meta.get_field("expires_at"), HttpRequest())
        assert ends.clean([written, "14:05"]).date() == date(2031, 3, 12)
