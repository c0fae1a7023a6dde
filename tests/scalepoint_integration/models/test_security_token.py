from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from crm.encryption import digest
from crm.models import InsuranceCompany, SecurityToken

pytestmark = pytest.mark.django_db
PLAIN = "plain-token-of-nordins-8f3c"


@pytest.fixture
def company() -> InsuranceCompany:
    return InsuranceCompany.objects.create(name="Nordins", alias="nordins")


def test_digest_and_ending_follow_the_value(company: InsuranceCompany) -> None:
    token = SecurityToken.objects.create(company=company, label="", token=f" {PLAIN}\n")
    assert (token.digest, token.last4) == (digest(PLAIN), "8f3c")
    token.token = "another-value-11aa"
    token.save(update_fields=["token"])
    fresh = SecurityToken.objects.get()
    assert (fresh.token, fresh.digest, fresh.last4) == ("another-value-11aa", digest("another-value-11aa"), "11aa")


def test_nobody_sees_the_value_by_the_way(company: InsuranceCompany) -> None:
    token = SecurityToken.objects.create(company=company, token=PLAIN)
    assert PLAIN not in f"{token} {token!r}"
    assert str(token) == "••••8f3c"
    assert "token" in SecurityToken.objects.get().get_deferred_fields()
    assert "token" in company.tokens.get().get_deferred_fields()


def test_a_row_that_was_loaded_without_its_value_is_saved_without_it(company: InsuranceCompany) -> None:
    SecurityToken.objects.create(company=company, token=PLAIN)
    token = SecurityToken.objects.get()
    token.label = "from Mette"
    token.save()
    assert (SecurityToken.objects.get().label, SecurityToken.objects.get().token) == ("from Mette", PLAIN)


def test_live_tokens(company: InsuranceCompany) -> None:
    now, day = timezone.now(), timedelta(days=1)

    def token(value: str, **dates: Any) -> SecurityToken:
        return SecurityToken.objects.create(company=company, token=value, **dates)

    always = token("always", valid_from=now - day)
    ends = token("ends tomorrow", valid_from=now - day, expires_at=now + day)
    token("ended", valid_from=now - 2 * day, expires_at=now)
    token("begins", valid_from=now + day)
    assert set(SecurityToken.objects.live(now)) == {always, ends}
    assert set(company.tokens.live(now)) == {always, ends}
    assert SecurityToken.objects.live(now).with_value("ends tomorrow").get() == ends


def test_a_token_of_another_company_is_refused_by_name(company: InsuranceCompany, settings: Any) -> None:
    other = InsuranceCompany.objects.create(name="Vestjysk", alias="vest")
    SecurityToken.objects.create(company=company, token=PLAIN)
    with pytest.raises(ValidationError, match="This token is already used by Nordins"):
        SecurityToken.objects.create(company=other, token=PLAIN)
    # The double is one too where the first was digested with a key that has been replaced since.
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(ValidationError, match="This token is already used by Nordins"):
        SecurityToken.objects.create(company=other, token=PLAIN)
    with pytest.raises(ValidationError, match="can't be empty"):
        SecurityToken.objects.create(company=other, token=" ")
    assert SecurityToken.objects.count() == 1


def test_the_database_refuses_a_double_as_well(company: InsuranceCompany) -> None:
    SecurityToken.objects.create(company=company, token=PLAIN)
    with pytest.raises(IntegrityError), transaction.atomic():
        SecurityToken.objects.bulk_create([SecurityToken(company=company, token=PLAIN, digest=digest(PLAIN))])
    assert SecurityToken.objects.count() == 1


def test_a_token_does_not_end_before_it_begins(company: InsuranceCompany) -> None:
    now = timezone.now()
    token = SecurityToken(company=company, token=PLAIN, valid_from=now, expires_at=now)
    with pytest.raises(ValidationError, match="before the token becomes valid"):
        token.clean()
