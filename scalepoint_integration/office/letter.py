"""The mail with which a company asks Scalepoint to open: its text, and sending it. It never holds a secret.

>>> draft = compose(connection, address, "da")
>>> send(connection, user, "integration@scalepoint.example", draft.subject, draft.body, timezone.now())
"""

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import models, transaction
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from crm.encryption import SecretUnreadable, decrypt
from crm.models import SecurityToken
from scalepoint_integration.models import ClientKey, Connection, ScalepointMail

_SMTP = "django.core.mail.backends.smtp.EmailBackend"  # what Django takes where MAILERS names none
logger = logging.getLogger(__name__)

# The letter in both languages, word for word: which one is sent is chosen on the page and has nothing to do with the
# language of the reader, so these are no translations of each other's keys.
_LETTERS = {
    "da": (
        "Integration til {company}",
        "Hej Scalepoint.\n\n"
        "Vi ønsker at modtage vores forsikringssager i vores eget system.\n\n"
        "Firma: {company}, CVR {tax_id}.\n"
        "Adresse til integrationen: {address}.\n"
        "Kontakt: {contact}, {phone}.\n\n"
        "Send os venligst servernavn, brugernavn samt sikkerhedstoken, alias og evt. sub-alias for hvert "
        "forsikringsselskab ad sikker vej (ikke almindelig mail).\n",
    ),
    "en": (
        "Integration for {company}",
        "Dear Scalepoint.\n\n"
        "We would like to receive our insurance cases in our own system.\n\n"
        "Company: {company}, CVR {tax_id}.\n"
        "Address for the integration: {address}.\n"
        "Contact: {contact}, {phone}.\n\n"
        "Please send us the server name, the user name, and the security token, alias and any sub-alias for each "
        "insurance company by a secure way (not ordinary mail).\n",
    ),
}
LANGUAGES = {"da": "Dansk", "en": "English"}
# What the letter says of the company; fields of the connection.
FACTS = ("company_name", "company_tax_id", "contact_name", "contact_phone")
# The same mail to the same address within this time is a second press of the button.
_ONCE = timedelta(minutes=1)


class MailRefused(Exception):
    """Why nothing was sent, in the reader's language: what happened, what to do, who can."""


@dataclass(frozen=True, slots=True)
class Draft:
    subject: str
    body: str


def compose(connection: Connection, address: str, language: str) -> Draft:
    """The letter, filled in. ``address`` is where Scalepoint is to send; ``language`` a key of LANGUAGES."""
    subject, body = _LETTERS[language]
    facts = {
        "company": connection.company_name,
        "tax_id": connection.company_tax_id,
        "contact": connection.contact_name,
        "phone": connection.contact_phone,
        "address": address,
    }
    return Draft(subject.format(**facts), body.format(**facts))


def missing_facts(connection: Connection) -> list[str]:
    """The names of the fields that the letter needs and nobody has filled in."""
    return [name for name in FACTS if not getattr(connection, name).strip()]


def refuse_secrets(*texts: str) -> None:
    """Raises MailRefused where one of the texts holds a secret of the site: a security token of any company, a secret
    of any connection, or a private key. One that was broken over two lines is found too."""
    told = "\n".join(texts)
    together = re.sub(r"\s", "", told)
    words = set(re.findall(r"[^\s,;:\"'()<>]+", told))
    held = "PRIVATEKEY-----" in together
    for secret in _secrets():
        bare = re.sub(r"\s", "", secret)
        # A short one could stand in a word by chance; then only the whole word counts.
        if bare and (bare in together if len(bare) >= 8 else secret in words):
            held = True
    if held:
        raise MailRefused(
            _(
                "The text contains a security token, a password or a key. Nothing was sent, and nothing was stored. "
                "Remove it: anyone who sees the email in transit could use it. Scalepoint never needs it from you."
            )
        )


def send(connection: Connection, by: Any, recipient: str, subject: str, body: str, now: datetime) -> ScalepointMail:
    """Send it, and write down that it was sent; both or neither. Raises MailRefused. Waits for the mail server, at most
    EMAIL_TIMEOUT seconds. The answer goes to the person, where the person has an address."""
    refuse_secrets(recipient, subject, body)
    own = getattr(by, by.get_email_field_name(), "")
    message = EmailMessage(subject, body, to=[recipient], reply_to=[own] if own else None)
    with transaction.atomic():
        Connection.objects.select_for_update().get(pk=connection.pk)  # two presses of the button, one after the other
        same = connection.mails.filter(
            how=ScalepointMail.How.SENT, recipient=recipient, subject=subject, body=body, sent_at__gt=now - _ONCE
        )
        if earlier := same.first():
            return earlier
        row = _log(connection, by, ScalepointMail.How.SENT, recipient, subject, body)
        try:
            sent = message.send()
        except Exception as error:  # whatever a mail backend of the host raises
            logger.warning("The mail to Scalepoint could not be sent: %s", type(error).__name__)
            raise MailRefused(_not_sent(f"{type(error).__name__}: {error}"[:200])) from error
        if not sent:
            raise MailRefused(_not_sent(_("the mail server did not accept the email")))
    return row


def sent_outside(connection: Connection, by: Any, recipient: str, subject: str, body: str) -> ScalepointMail:
    """Write down that the person has sent it from a mail program. Raises MailRefused."""
    refuse_secrets(recipient, subject, body)
    return _log(connection, by, ScalepointMail.How.OUTSIDE, recipient, subject, body)


def backend() -> str:
    """The dotted path of the site's mail backend. Since Django 6.1 a site may have MAILERS, and then it has no
    EMAIL_BACKEND: asking for that is an error."""
    mailers = getattr(settings, "MAILERS", None)
    path = settings.EMAIL_BACKEND if mailers is None else mailers.get("default", {}).get("BACKEND", _SMTP)
    return str(path)


def mailto(recipient: str, subject: str, body: str) -> str:
    """A link that opens the reader's own mail program with everything filled in (RFC 6068)."""
    lines = body.replace("\r\n", "\n").replace("\n", "\r\n")
    return f"mailto:{quote(recipient, safe='@')}?subject={quote(subject, safe='')}&body={quote(lines, safe='')}"


def _log(connection: Connection, by: Any, how: str, recipient: str, subject: str, body: str) -> ScalepointMail:
    return ScalepointMail.objects.create(
        connection=connection, how=how, recipient=recipient, subject=subject, body=body, sent_by=by
    )


def _not_sent(reason: str) -> str:
    return _(
        "The email could not be sent (%(reason)s). Nothing was recorded as sent. Send it from your own mail program "
        "instead, or ask IT to check the email settings of the site (EMAIL_URL)."
    ) % {"reason": reason}


def _secrets() -> list[str]:
    """All secrets of the site, in the clear. What can't be read with today's keys opens no door either."""
    found = []
    for model, name in (
        (SecurityToken, "token"),
        (Connection, "secret"),
        (Connection, "client_secret"),
        (ClientKey, "private_key"),
    ):
        # As text, or one that can't be read would hide the others.
        rows: Any = model._base_manager.annotate(stored=Cast(name, models.TextField()))
        for stored in rows.values_list("stored", flat=True):
            try:
                found.append(decrypt(stored) if stored else "")
            except SecretUnreadable:
                continue
    # A key is many lines, and each of them too much.
    return [line.strip() for secret in found for line in (secret, *secret.splitlines()) if line.strip()]
