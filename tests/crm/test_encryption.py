from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.utils import display_for_field
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.forms import modelform_factory
from django.forms.models import model_to_dict
from hypothesis import given
from hypothesis import strategies as st

from crm import encryption, masks
from crm.encryption import SecretUnreadable
from crm.models import InsuranceCompany, SecurityToken

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
PLAIN = "plain-token-of-nordins-8f3c"


@pytest.fixture
def company(db: None) -> InsuranceCompany:
    return InsuranceCompany.objects.create(name="Nordins", alias="nordins")


def stored(token: SecurityToken) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM scalepoint_crm_securitytoken WHERE id = %s", [token.pk])
        return str(cursor.fetchone()[0])


def test_the_plain_token_stands_nowhere_in_the_table(company: InsuranceCompany) -> None:
    token = SecurityToken.objects.create(company=company, token=PLAIN)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM scalepoint_crm_securitytoken")
        rows = cursor.fetchall()
    assert len(rows) == 1
    assert PLAIN not in repr(rows)
    assert stored(token).startswith("f1:")
    assert SecurityToken.objects.get().token == PLAIN


def test_a_secret_is_not_searched(company: InsuranceCompany) -> None:
    SecurityToken.objects.create(company=company, token=PLAIN)
    for lookup in ("token", "token__contains", "token__isnull", "token__in", "company__tokens__token__upper"):
        model: Any = InsuranceCompany if lookup.startswith("company") else SecurityToken
        with pytest.raises(FieldError):
            list(model.objects.filter(**{lookup.removeprefix("company__"): PLAIN}))


def test_a_wrong_key_is_an_error_and_no_ciphertext(company: InsuranceCompany, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    token = SecurityToken.objects.create(company=company, token=PLAIN)
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(SecretUnreadable, match="FIELD_ENCRYPTION_KEYS") as failure:
        _ = SecurityToken.objects.get().token
    assert "f1:" not in str(failure.value)
    assert SecurityToken.objects.get().last4 == "8f3c"  # the row itself can still be shown
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert SecurityToken.objects.get().token == PLAIN
    with connection.cursor() as cursor:
        cursor.execute("UPDATE scalepoint_crm_securitytoken SET token = 'never encrypted' WHERE id = %s", [token.pk])
    with pytest.raises(SecretUnreadable):
        _ = SecurityToken.objects.get().token


def test_keys_out_of_secret_key_survive_its_change_and_the_move_to_own_keys(
    company: InsuranceCompany, settings: Any
) -> None:
    settings.FIELD_ENCRYPTION_KEYS, settings.SECRET_KEY = [], "a" * 50
    SecurityToken.objects.create(company=company, token=PLAIN)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "b" * 50, ["a" * 50]
    assert SecurityToken.objects.get().token == PLAIN
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert SecurityToken.objects.get().token == PLAIN
    assert SecurityToken.objects.with_value(PLAIN).count() == 1
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(SecretUnreadable):
        _ = SecurityToken.objects.get().token


def test_a_key_that_is_none_is_named_without_being_shown(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["not-a-fernet-key"]
    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS") as failure:
        encryption.encrypt("x")
    assert "not-a-fernet-key" not in str(failure.value)
    assert failure.value.__cause__ is None


@given(st.text(alphabet=st.characters(), max_size=80))
def test_any_text_comes_back_and_has_a_digest(text: str) -> None:
    assert encryption.decrypt(encryption.encrypt(text)) == text
    assert len(encryption.digest(text)) == 64
    assert encryption.digests(text)[0] == encryption.digest(text)
    masks.last4(text).encode("utf-8")


def test_digests_follow_the_keys(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    old = encryption.digest(PLAIN)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert encryption.digest(PLAIN) != old
    assert old in encryption.digests(PLAIN)
    assert encryption.digest(PLAIN.encode()) == encryption.digest(PLAIN)
    assert encryption.digest("\ud800") != encryption.digest("?")


def test_little_is_shown_of_a_short_secret() -> None:
    assert masks.last4("12345678") == "5678"
    assert masks.last4("1234567") == ""
    assert masks.last4("12345678\n\ud800") == "78??"


def test_a_form_shows_nothing_and_keeps_what_is_stored(company: InsuranceCompany) -> None:
    token = SecurityToken.objects.create(company=company, token=PLAIN)
    assert model_to_dict(token)["token"] == ""
    form = modelform_factory(SecurityToken, fields=["label", "token"])
    shown = str(form(instance=SecurityToken.objects.get()))
    assert PLAIN not in shown and "f1:" not in shown
    form_class = modelform_factory(SecurityToken, fields=["label", "token"])
    form_class.base_fields["token"].required = False
    bound = form_class({"label": "from Mette", "token": ""}, instance=SecurityToken.objects.get())
    assert bound.is_valid(), bound.errors
    bound.save()
    assert (SecurityToken.objects.get().label, SecurityToken.objects.get().token) == ("from Mette", PLAIN)


def test_the_admin_shows_nothing_to_who_may_only_look(company: InsuranceCompany) -> None:
    token = SecurityToken.objects.create(company=company, token=PLAIN)
    shown = display_for_field(token.token, SecurityToken._meta.get_field("token"), "-")
    assert shown == "-"


def test_a_dump_holds_ciphertext_and_can_be_loaded(company: InsuranceCompany) -> None:
    SecurityToken.objects.create(company=company, token=PLAIN)
    dump = serializers.serialize("json", SecurityToken.objects.all())
    assert PLAIN not in dump
    [loaded] = serializers.deserialize("json", dump)
    loaded.save()
    assert SecurityToken.objects.get().token == PLAIN


def rotate() -> list[str]:
    out = StringIO()
    call_command("rotate_secrets", stdout=out)
    return [line for line in out.getvalue().splitlines() if line.startswith("scalepoint_crm.")]


def test_rotation_moves_all_to_the_first_key_and_can_be_run_again(company: InsuranceCompany, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    tokens = [SecurityToken.objects.create(company=company, token=f"{PLAIN}{n}") for n in range(3)]
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    SecurityToken.objects.create(company=company, token="made after the change")
    assert rotate() == ["scalepoint_crm.SecurityToken.token: 3 encrypted anew, 1 up to date, 0 failed"]
    before = [stored(token) for token in tokens]
    assert rotate() == ["scalepoint_crm.SecurityToken.token: 0 encrypted anew, 4 up to date, 0 failed"]
    assert [stored(token) for token in tokens] == before
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    for number, token in enumerate(tokens):
        found = SecurityToken.objects.get(digest=encryption.digest(f"{PLAIN}{number}"))
        assert (found.pk, found.token) == (token.pk, f"{PLAIN}{number}")


def test_rotation_goes_on_past_what_it_cannot_read_and_says_so(company: InsuranceCompany, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    lost = SecurityToken.objects.create(company=company, token="lost for good")
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    kept = SecurityToken.objects.create(company=company, token=PLAIN)
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    was, errors = stored(lost), StringIO()
    with pytest.raises(CommandError, match="1 could not"):
        call_command("rotate_secrets", stdout=StringIO(), stderr=errors)
    assert f"scalepoint_crm.SecurityToken {lost.pk}:" in errors.getvalue()
    assert stored(lost) == was
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert SecurityToken.objects.get(pk=kept.pk).token == PLAIN
