"""The mail to Scalepoint: its words, that it leaves or is not logged, and that no secret gets into it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail as outbox
from django.utils import timezone
from pytest_django import Settings

from crm.models import SecurityToken
from scalepoint_integration.client.keys import make_key
from scalepoint_integration.models import Connection, ScalepointMail
from scalepoint_integration.office import letter as mail
from tests.support.world import NORD_TOKEN, SECRET, World

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "https://firma.example/api/scalepoint/v1/2332/"
TO = "integration@scalepoint.example"
DANISH = (
    "Hej Scalepoint. Vi ønsker at modtage vores forsikringssager i vores eget system. "
    f"Firma: Eksempel ApS, CVR 13585628. Adresse til integrationen: {ADDRESS}. "
    "Kontakt: Mette Eksempelsen, 00 11 22 33. Send os venligst servernavn, brugernavn samt sikkerhedstoken, alias og "
    "evt. sub-alias for hvert forsikringsselskab ad sikker vej (ikke almindelig mail)."
)


@pytest.fixture
def company(world: World) -> Connection:
    connection = Connection.objects.get(pk=world.connection.pk)
    connection.company_name, connection.company_tax_id = "Eksempel ApS", "13585628"
    connection.contact_name, connection.contact_phone = "Mette Eksempelsen", "00 11 22 33"
    connection.client_secret = "invented-client-secret"
    connection.save()
    return Connection.objects.get(pk=connection.pk)


def send(connection: Connection, **changes: Any) -> ScalepointMail:
    values = {"recipient": TO, "subject": "Integration", "body": "Hej", "now": timezone.now(), **changes}
    return mail.send(connection, connection.default_values.responsible, **values)


def test_the_words(company: Connection) -> None:
    draft = mail.compose(company, ADDRESS, "da")
    assert " ".join(draft.body.split()) == DANISH
    assert draft.subject == "Integration til Eksempel ApS"
    english = mail.compose(company, ADDRESS, "en").body
    for fact in ("Eksempel ApS", "13585628", ADDRESS, "Mette Eksempelsen", "00 11 22 33", "not ordinary mail"):
        assert fact in english
    mail.refuse_secrets(draft.subject, draft.body, english)
    assert not mail.missing_facts(company)
    company.company_tax_id = " "
    assert mail.missing_facts(company) == ["company_tax_id"]


def test_it_leaves_and_is_logged(company: Connection) -> None:
    mette = company.default_values.responsible
    assert mette is not None
    mette.email = "mette@firma.example"
    row = send(company, body="Hej\nmed dig")
    [letter] = outbox.outbox
    assert (letter.to, letter.subject, letter.body) == ([TO], "Integration", "Hej\nmed dig")
    assert letter.reply_to == ["mette@firma.example"]
    assert ScalepointMail.objects.get() == row
    assert (row.how, row.recipient, row.sent_by) == ("sent", TO, mette)


def test_a_second_press_of_the_button_sends_nothing(company: Connection) -> None:
    first = send(company)
    assert send(company) == first
    assert len(outbox.outbox) == ScalepointMail.objects.count() == 1
    send(company, body="something else")
    send(company, now=timezone.now() + 2 * mail._ONCE)
    assert len(outbox.outbox) == ScalepointMail.objects.count() == 3


def test_a_mail_server_that_is_not_there_is_told_and_nothing_is_logged(company: Connection, settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens: refused at once
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = taken.getsockname()
        with pytest.raises(mail.MailRefused, match=r"could not be sent \(ConnectionRefusedError.*own mail program"):
            send(company)
    assert not ScalepointMail.objects.exists()


def test_a_backend_that_takes_nothing_is_no_success(company: Connection, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "tests.scalepoint_integration.office.test_letter.Deaf"
    with pytest.raises(mail.MailRefused, match="did not accept the email"):
        send(company)
    assert not ScalepointMail.objects.exists()


@pytest.mark.parametrize(
    ("site", "backend"),
    [
        ({"EMAIL_BACKEND": "a.console.EmailBackend"}, "a.console.EmailBackend"),
        ({"MAILERS": {"default": {"BACKEND": "a.console.EmailBackend"}}}, "a.console.EmailBackend"),
        ({"MAILERS": {"default": {}}}, "django.core.mail.backends.smtp.EmailBackend"),
    ],
)
def test_the_backend_is_found_where_the_site_has_it(
    site: dict[str, Any], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "settings", SimpleNamespace(**site))  # no EMAIL_BACKEND beside MAILERS, as in Django 6.1
    assert mail.backend() == backend


class Deaf:
    def __init__(self, **options: Any) -> None:
        pass

    def send_messages(self, letters: Any) -> int:
        return 0


def secrets(connection: Connection) -> list[str]:
    key = make_key(connection)
    private = type(key).objects.get(pk=key.pk).private_key
    return [NORD_TOKEN, SECRET, "invented-client-secret", private, private.splitlines()[3]]


@pytest.mark.parametrize("number", range(5))
def test_no_secret_gets_into_it(company: Connection, number: int) -> None:
    secret = secrets(company)[number]
    broken = secret[:9] + "\n" + secret[9:]
    for text in ({"body": f"Vores token er:{secret}."}, {"body": broken}, {"subject": secret}):
        with pytest.raises(mail.MailRefused, match="Nothing was sent"):
            send(company, **text)
    with pytest.raises(mail.MailRefused) as refused:
        mail.sent_outside(company, company.default_values.responsible, "", "Emne", f"x{secret}x")
    assert secret not in str(refused.value)
    assert not outbox.outbox
    assert not ScalepointMail.objects.exists()


def test_a_secret_that_can_not_be_read_hides_no_other(company: Connection, settings: Settings) -> None:
    with_other_key = settings.SECRET_KEY
    settings.SECRET_KEY = "another-" * 8
    SecurityToken.objects.create(company=SecurityToken.objects.first().company, token="token-of-the-other-key")
    settings.SECRET_KEY = with_other_key
    with pytest.raises(mail.MailRefused):
        mail.refuse_secrets(f"token {NORD_TOKEN}")
    mail.refuse_secrets("nothing secret")


def test_a_short_secret_counts_as_a_word_only(company: Connection) -> None:
    company.secret = "hej"
    company.save()
    mail.refuse_secrets("hejsa")
    with pytest.raises(mail.MailRefused):
        mail.refuse_secrets("hej, du")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {
                "SECRET_KEY": "x",
                "EMAIL_URL": "smtp+tls://user:p%40ss@mail.example:587",
                "DEFAULT_FROM_EMAIL": "a@b.example",
            },
            ["smtp", "mail.example", 587, "user", "p@ss", True, 10, "a@b.example"],
        ),
        ({"DEBUG": "on"}, ["console", "localhost", 25, "", "", False, 10, "webmaster@localhost"]),
        ({"SECRET_KEY": "x"}, ["smtp", "localhost", 25, "", "", False, 10, "webmaster@localhost"]),
    ],
)
def test_the_mail_server_comes_from_the_environment(given: dict[str, str], told: list[Any]) -> None:
    program = (
        "import json; from django.conf import settings as s; print(json.dumps([s.EMAIL_BACKEND.split('.')[-2], "
        "s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_HOST_USER, s.EMAIL_HOST_PASSWORD, s.EMAIL_USE_TLS, s.EMAIL_TIMEOUT, "
        "s.DEFAULT_FROM_EMAIL]))"
    )
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "settings.base", **given}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    assert json.loads(ran.stdout) == told


def test_mailto_carries_everything(company: Connection) -> None:
    draft = mail.compose(company, ADDRESS, "da")
    link = urlsplit(mail.mailto(TO, draft.subject, draft.body))
    told = parse_qs(link.query)
    assert (link.scheme, link.path) == ("mailto", TO)
    assert told == {"subject": [draft.subject], "body": [draft.body.replace("\n", "\r\n")]}
    assert mail.mailto("a@b.example?cc=c@d.example", "a&b", "x").count("&") == 1
