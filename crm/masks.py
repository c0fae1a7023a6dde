"""What the number of a person, an account and a secret look like, and what is shown in their place.

>>> hide("Jens, 010203-1234, konto DK50 0040 0440 1162 43")
'Jens, ••••••-••••, konto ••••'

Whoever stores, shows or exports a text asks here, so that what is hidden in one place is hidden in all. It stands below
everything and imports nothing of Django.
"""

import re
from collections.abc import Iterable

CPR = "••••••-••••"
ACCOUNT = "••••"
REMOVED = "•••"

# Between the date and the last four digits: nothing, white space, or any of the dashes, with white space around it.
_SPACE = r"[^\S\r\n]{0,2}"
_DASH = r"[-\u00ad\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]"
_DAY_MONTH = r"(?:0[1-9]|[12]\d|3[01]){}(?:0[1-9]|1[0-2])"
# A date and four digits. Where the date is written with points or its whole year, only a dash makes a number of it:
# without one it is a date and a time of day.
_CPR = re.compile(
    rf"(?<!\d)(?:{_DAY_MONTH.format('')}\d\d{_SPACE}(?:{_DASH}{_SPACE})?"
    rf"|{_DAY_MONTH.format('')}(?:1[89]|20)\d\d{_DASH}"
    rf"|{_DAY_MONTH.format('[./]')}[./](?:1[89]|20)?\d\d{_DASH})\d{{4}}(?!\d)"
)
# The number of a foreign telephone may begin like a date: "+49 1512345678". A Danish one has eight digits.
_CALLING_CODE = re.compile(r"(?:\+|\b00)(?!45\D?$)\d{1,3}[^\S\r\n]?$")
_IBAN = re.compile(
    r"\b[A-Z]{2}\d{2}(?:[^\S\r\n]?[A-Z0-9]{4}){3,7}(?:[^\S\r\n]?[A-Z0-9]{1,4})?\b"
    # In small letters words could be parts of it, so only digits are; a few banks have four letters in front.
    r"|\b(?i:[A-Z]{2}\d{2}(?:[^\S\r\n]?[A-Z]{4})?)(?:[^\S\r\n]?\d{4}){2,7}(?:[^\S\r\n]?\d{1,4})?\b"
)
# Registration number and account number as Danish banks print them, always with ten digits.
_BANK_ACCOUNT = re.compile(rf"(?<!\d)(?!00)\d{{4}}(?:{_DASH}|[^\S\r\n])\d{{10}}(?!\d)")
_CARD = re.compile(r"(?<!\d)(?:[3-6]\d|2[2-7])\d{2}([^\S\r\n]|-|)\d{4}\1\d{4}\1\d{4}(?!\d)")
_IN_NUMBERS = re.compile(rf"\s|{_DASH}")

# By the names of fields, in Scalepoint's spelling or ours.
_PERSONAL = re.compile(r"cpr|identity|nationalid|personal|ssn|socialsecurity", re.IGNORECASE)
_ACCOUNT = re.compile(
    r"account|iban|payment_?number|instruction_?id|regn(o|umber)|card_?number|nemkonto", re.IGNORECASE
)
_NAMES = "security[_-]?token|access[_-]?token|client[_-]?secret|password|authorization|api[_-]?key"
_SECRET_FIELD = re.compile(_NAMES, re.IGNORECASE)
_SECRET_BYTES = re.compile(_NAMES.encode(), re.IGNORECASE)
# The same in what is no JSON, or is broken: a field of JSON, of a form, a part of a form with parts.
_SECRET_IN_JSON = re.compile(rb'("(?:%b)"\s*:\s*")(?:[^"\\]|\\.)*' % _NAMES.encode(), re.IGNORECASE)
_SECRET_IN_FORM = re.compile(rb"((?:%b)=)[^&]*" % _NAMES.encode(), re.IGNORECASE)
_SECRET_IN_PART = re.compile(
    rb'(name="?(?:%b)"?[^\r\n]*(?:\r?\n[^\r\n]+)*\r?\n\r?\n)[^\r\n]*' % _NAMES.encode(), re.IGNORECASE
)
# Columns of ours. In an event, ``token`` is the case's name and no secret.
_SECRET_COLUMNS = {"token", "secret", "digest", "password"}


def hide(text: str) -> str:
    """The text without numbers of persons and of accounts."""
    text = _BANK_ACCOUNT.sub(ACCOUNT, _IBAN.sub(ACCOUNT, text))
    text = _CPR.sub(lambda found: found[0] if _is_telephone(found) else CPR, text)
    return _CARD.sub(lambda found: ACCOUNT if _is_card(found[0]) else found[0], text)


def of_field(name: str) -> str:
    """What is shown of any value in a field of that name; "" where the name says nothing against showing it."""
    if _PERSONAL.search(name):
        return CPR
    return ACCOUNT if _ACCOUNT.search(name) else ""


def of_identity(number: str) -> str:
    """What may be shown of a CPR or CVR number: a CVR number is public, of a CPR number nothing is."""
    bare = _IN_NUMBERS.sub("", number).upper()
    if re.fullmatch(r"(DK)?[0-9]{8}", bare):
        return bare
    # Nine digits: a number, not a text, so that the first zero was lost.
    return CPR if re.fullmatch(r"[0-9]{9,10}", bare) else ACCOUNT if number else ""


def of_account(number: str) -> str:
    """What may be shown of an account: how it ends; "" where there is none."""
    return ending(last4(number)) if number else ""


def ending(end: str) -> str:
    """How a secret or an account is named by its last characters."""
    return f"{ACCOUNT}{end}"


def last4(value: str) -> str:
    """What may be shown of a secret. Nothing of a short one, where four characters would be half of it."""
    return "".join(char if char.isprintable() else "?" for char in value[-4:]) if len(value) >= 8 else ""


def is_secret_field(name: str) -> bool:
    """Whether a field of what somebody sends is named like a secret."""
    return _SECRET_FIELD.fullmatch(name) is not None


def is_secret_column(name: str) -> bool:
    """Whether a column of ours is named like a secret."""
    return name in _SECRET_COLUMNS


def may_hold_secret(body: bytes) -> bool:
    """Whether the name of a secret field stands anywhere in it. Far cheaper than reading it."""
    return _SECRET_BYTES.search(body) is not None


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without these secrets, however often somebody repeated them."""
    for secret in filter(None, secrets):
        text = text.replace(secret, REMOVED)
    return text


def redact_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """A body that could not be read, with everything secret taken out as well as it can be found there."""
    for secret in filter(None, secrets):
        body = body.replace(secret.encode("utf-8", "surrogatepass"), REMOVED.encode())
    for pattern in (_SECRET_IN_JSON, _SECRET_IN_FORM, _SECRET_IN_PART):
        body = pattern.sub(rb"\1" + REMOVED.encode(), body)
    return body


def _is_telephone(found: "re.Match[str]") -> bool:
    before = found.string[max(found.start() - 6, 0) : found.start()]
    return re.fullmatch(r"[\d\s]+", found[0]) is not None and _CALLING_CODE.search(before) is not None


def _is_card(text: str) -> bool:
    digits = [int(char) for char in reversed(text) if char.isdigit()]
    return (sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0
