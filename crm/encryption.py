"""Secrets in the database: encrypted where they must be read again, digested where they are looked up.

The keys are ``settings.FIELD_ENCRYPTION_KEYS``: the first encrypts and digests, all of them read. Keys derived from
SECRET_KEY and SECRET_KEY_FALLBACKS stand behind them, so that a site without own keys works at once, and one that
gets own keys later can still read what it has until ``rotate_secrets`` has run.
"""

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django import forms
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured, ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField

Rows = TypeVar("Rows", bound="models.QuerySet[Any]")

PREFIX = "f1:"
# How every ciphertext of ours begins: the prefix, then Fernet's version byte and the high zeros of its time.
_STORED = PREFIX + "gAAAAA"
_NO_KEY = (
    "A secret in the database can't be read with the keys of this site. Put the key it was stored with back into "
    "FIELD_ENCRYPTION_KEYS or SECRET_KEY_FALLBACKS."
)


class SecretUnreadable(Exception):
    """What is stored can't be decrypted with any key that the site has now."""


def digest(value: str | bytes) -> str:
    """The keyed digest under the first key, to be stored in a unique column. Any text is accepted."""
    return _digest(_keys()[0], value)


def digests(value: str | bytes) -> list[str]:
    """The digest under every live key: look up with ``digest__in`` and a change of keys locks nobody out."""
    return [_digest(key, value) for key in _keys()]


def encrypt(value: str) -> str:
    return PREFIX + _cipher(_keys()).encrypt(_bytes(value)).decode("ascii")


def decrypt(stored: str) -> str:
    """The plain text, or SecretUnreadable: ciphertext must never travel on as if it were the secret."""
    if not stored.startswith(PREFIX):
        raise SecretUnreadable("A secret in the database was not encrypted by this site.")
    try:
        plain = _cipher(_keys()).decrypt(stored[len(PREFIX) :].encode("ascii", "replace"))
    except InvalidToken:
        raise SecretUnreadable(_NO_KEY) from None
    return plain.decode("utf-8", "surrogatepass")


def encrypt_bytes(value: bytes) -> bytes:
    """For a column of bytes that holds personal data; its model names it in ``ENCRYPTED``, for ``rotate_secrets``."""
    return PREFIX.encode() + _cipher(_keys()).encrypt(value)


def decrypt_bytes(stored: bytes) -> bytes:
    """The plain bytes; what was stored in clear, before such columns were encrypted, as it is. Or SecretUnreadable."""
    if not stored.startswith(_STORED.encode()):
        return stored
    try:
        return _cipher(_keys()).decrypt(stored[len(PREFIX) :])
    except InvalidToken:
        raise SecretUnreadable(_NO_KEY) from None


def without_secrets(rows: Rows) -> Rows:
    """The rows with each secret left in the database until it is asked for by name: nobody carries it about who only
    looks at the rest, and a key that is missing spoils nothing but the secret itself. For a manager."""
    names = [field.name for field in rows.model._meta.concrete_fields if isinstance(field, EncryptedTextField)]
    return rows.defer(*names)


def is_current(stored: str | bytes) -> bool:
    """Whether it is encrypted with the first key. False also for what can't be read at all."""
    text = stored if isinstance(stored, bytes) else stored.encode("ascii", "replace")
    try:
        _cipher(_keys()[:1]).decrypt(text.removeprefix(PREFIX.encode()))
    except InvalidToken:
        return False
    return True


class EncryptedTextField(TextField):
    """Text that is encrypted at rest. Blank stays blank. In a form it is write-only: what is stored is never shown,
    and leaving the field empty keeps it. A data dump carries the ciphertext."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return encrypt(value) if value else value

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> str | None:
        return decrypt(value) if value else value

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        if isinstance(value, str) and value.startswith(_STORED):  # out of a data dump
            try:
                return decrypt(value)
            except SecretUnreadable as error:
                raise ValidationError(str(error)) from None
        return value

    def value_to_string(self, obj: models.Model) -> str:
        value = getattr(obj, self.attname)
        return encrypt(value) if value else ""

    def value_from_object(self, obj: models.Model) -> str:
        return ""  # feeds the initial values of forms

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        if data:
            super().save_form_data(instance, data)

    def formfield(self, *args: Any, **kwargs: Any) -> Any:
        # Replaces also the text area that the admin would put here.
        kwargs["widget"] = forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"})
        kwargs.setdefault("help_text", self.help_text or _("Leave empty to keep what is stored."))
        return super().formfield(*args, **kwargs)

    # By its choices the admin looks up how a read-only value is written. So there it is empty, whatever it is.
    flatchoices = [(None, "")]

    def get_lookup(self, lookup_name: str) -> NoReturn:
        raise FieldError(f"{self.name} is encrypted and can't be searched; store a digest beside it.")

    def get_transform(self, lookup_name: str) -> NoReturn:
        self.get_lookup(lookup_name)


def _keys() -> tuple[str, ...]:
    own = tuple(str(key) for key in getattr(settings, "FIELD_ENCRYPTION_KEYS", ()) if key)
    return own + tuple(_derived(str(key)) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=32)
def _derived(secret_key: str) -> str:
    return base64.urlsafe_b64encode(_hkdf(_bytes(secret_key), b"field encryption")).decode()


@lru_cache(maxsize=32)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        # Without the cause: it would carry the key into a log.
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEYS must hold Fernet keys: 32 random bytes in URL-safe base64."
        ) from None


@lru_cache(maxsize=32)
def _digest_key(key: str) -> bytes:
    return _hkdf(_bytes(key), b"digest")


def _digest(key: str, value: str | bytes) -> str:
    return hmac.new(_digest_key(key), _bytes(value), hashlib.sha256).hexdigest()


def _hkdf(secret: bytes, purpose: bytes) -> bytes:
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"django-scalepoint " + purpose)
    return hkdf.derive(secret)


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
