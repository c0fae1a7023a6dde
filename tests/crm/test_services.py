from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import ProtectedError
from hypothesis import given
from hypothesis import strategies as st

from crm import locks, services
from crm.models import Customer, InsuranceCompany


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("+45 28 11 22 33", "28112233"),
        ("0045 28112233", "28112233"),
        ("28 11 22 33", "28112233"),
        ("(+45)28-11-22-33", "28112233"),
        ("4528112233", "28112233"),
        ("tlf. 28.11.22.33", "28112233"),
        ("２８１１２２３３", "28112233"),  # noqa: RUF001  full-width digits
        ("12345678", "12345678"),
        ("+46 70 123 45 67", "+46701234567"),
        ("+46 (0)70 123 45 67", "+46701234567"),
        ("00298 123456", "+298123456"),
        ("", ""),
        (None, ""),
        ("ukendt", ""),
        ("-", ""),
        ("0", ""),
        ("+", ""),
        ("00000000", ""),
        ("00 11 22 33", "00112233"),
        ("11111111", ""),
        ("2811223", ""),
        ("281122334", ""),
        ("+45 2811223", ""),
        ("28112233 / 28112244", ""),
        ("+4528112233 +4528112244", ""),
        ("+0012345678", ""),
        ("+4670123456789012", ""),
    ],
)
def test_normalise_phone(raw: str, normal: str) -> None:
    assert services.normalise_phone(raw) == normal


def test_normalise_phone_of_a_neighbour() -> None:
    assert services.normalise_phone("90 12 34 56", "NO") == "+4790123456"
    assert services.normalise_phone("070-123 45 67", "SE") == "+46701234567"
    assert services.normalise_phone("70 123 45 67", "SE") == ""
    assert services.normalise_phone("28112233", "US") == ""
    assert services.normalise_phone("+45 28112233", "SE") == "28112233"


@given(st.text(max_size=40))
def test_normalise_phone_is_stable(raw: str) -> None:
    once = services.normalise_phone(raw)
    assert services.normalise_phone(once) == once
    assert once == "" or (len(once) == 8 and once.isascii() and once.isdigit()) or once.startswith("+")


def insurer(name: str, alias: str, sub_alias: str = "", **facts: Any) -> InsuranceCompany:
    return InsuranceCompany.objects.create(name=name, alias=alias, sub_alias=sub_alias, **facts)


def customer(name: str, **facts: Any) -> Customer:
    return Customer.objects.create(name=name, **facts)


@pytest.mark.django_db
def test_find_insurer_never_guesses() -> None:
    a = insurer("A", " Nordins ")
    bolig = insurer("A bolig", "nordins", "Nordins-Bolig", active=False)
    vest = insurer("B vest", "b07", "VEST")
    find = services.find_insurer
    assert find("NORDINS", "") == a
    assert find(" nordins ", "nordins-bolig ") == bolig
    assert find("nordins", "unknown") == a
    assert find("b07", "vest") == vest
    assert find("b07", "") is None
    assert find("b07", "øst") is None
    assert find("", "") is None
    assert find("nord", "") is None
    assert find("%", "") is None


@pytest.mark.django_db
def test_an_alias_belongs_to_one_company() -> None:
    insurer("A", "Nordins", "Bolig")
    with pytest.raises(IntegrityError), transaction.atomic():
        insurer("B", "NORDINS", " bolig ")
    with pytest.raises(ValidationError, match="already has this alias and sub-alias"):
        InsuranceCompany(name="B", alias="nordins", sub_alias="BOLIG").full_clean()
    with pytest.raises(ValidationError, match="not a valid CVR number"):
        InsuranceCompany(name="B", alias="b", company_tax_id="13585627").full_clean()
    InsuranceCompany(name="B", alias="b", company_tax_id="13585628").full_clean()
    assert InsuranceCompany.objects.count() == 1


@pytest.mark.django_db
def test_customers_by_number() -> None:
    plain, typed = customer("Jens", customer_number="28112233"), customer("Jens H.", customer_number="+45 28 11 22 33")
    customer("Retired", customer_number="28112233", active=False)
    customer("Nobody")
    foreign = customer("Sven", customer_number="+46701234567")
    assert services.customers_by_number("28112233") == [plain, typed]
    assert services.customers_by_number("+46701234567") == [foreign]
    assert services.customers_by_number("2811223") == []
    assert services.customers_by_number(" ") == []


@pytest.mark.django_db
def test_customers_by_policy() -> None:
    a, b = insurer("A", "a"), insurer("B", "b")
    jens = customer("Jens", insurer=a, policy_number="900464")
    customer("Anna", insurer=b, policy_number="900464")
    customer("Old", insurer=a, policy_number="900464", active=False)
    customer("No policy", insurer=a)
    assert services.customers_by_policy(a, " 900464 ") == [jens]
    assert services.customers_by_policy(a, "") == []
    assert services.customers_by_policy(None, "900464") == []


@pytest.mark.django_db
def test_customers_of_insurer() -> None:
    a = insurer("Nordins Forsikring", "a")
    assert services.customers_of_insurer(a) == []
    customer("Nordins Forsikring", kind="person")
    named = customer("NORDINS forsikring", kind="company")
    second = customer("nordins forsikring", kind="company")
    assert services.customers_of_insurer(a) == [named, second]
    a.customer = second
    a.save()
    assert services.customers_of_insurer(a) == [second]


@pytest.mark.django_db
def test_create_customer_cuts_what_is_too_long_and_keeps_the_case() -> None:
    made = services.create_customer(name="N" * 400, country="Danmark", email="not an address", phone="ukendt")
    made.refresh_from_db()
    assert (len(made.name), made.name[-1]) == (300, "…")
    assert (made.country, made.email, made.phone) == ("DK", "not an address", "ukendt")
    assert services.create_customer(name="Sven", country="se").country == "SE"


@pytest.mark.django_db
def test_who_has_history_is_not_deleted() -> None:
    a = insurer("A", "a")
    customer("Jens", insurer=a)
    with pytest.raises(ProtectedError):
        a.delete()
    assert (InsuranceCompany.objects.count(), Customer.objects.count()) == (1, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["da", "en"])
def test_the_host_settings_leave_the_migrations_alone(settings: Any, language: str) -> None:
    settings.LANGUAGE_CODE = language
    settings.DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
    settings.STORAGES = {k: v for k, v in settings.STORAGES.items() if k != "private"}
    call_command("makemigrations", "crm", "tasks", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_hold_lets_one_after_the_other_create() -> None:
    """Two that look and then create, at once, on two connections: one customer."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    inside, made = Event(), []

    def create(first: bool) -> None:
        try:
            with transaction.atomic():
                if not first:
                    inside.wait(5)
                locks.hold("customer:28112233")
                inside.set()
                if not services.customers_by_number("28112233"):
                    if first:
                        sleep(0.5)  # the other one arrives at the lock
                    services.create_customer(name="Jens", customer_number="28112233")
                    made.append(first)
        finally:
            connections.close_all()

    threads = [Thread(target=create, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert made == [True]
    assert Customer.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_hold_does_not_hold_other_names() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    waited: list[float] = []

    def other() -> None:
        try:
            with transaction.atomic():
                start = monotonic()
                locks.hold("customer:28112244\ud800")
                waited.append(monotonic() - start)
        finally:
            connections.close_all()

    with transaction.atomic():
        locks.hold("customer:28112233")
        thread = Thread(target=other)
        thread.start()
        thread.join(10)
    assert len(waited) == 1 and waited[0] < 1


@pytest.mark.django_db(transaction=True)
def test_hold_outside_a_transaction_holds_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        locks.hold("anything")
