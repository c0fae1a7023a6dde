"""A contract with Scalepoint: its number in the address, its switch, its credentials, and who we are."""

from typing import Any

from django.core.validators import RegexValidator
from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from crm.encryption import EncryptedTextField, digest, without_secrets
from crm.masks import last4
from crm.models.company import validate_cvr
from scalepoint_integration.models.default_values import DefaultValues
from scalepoint_integration.models.poller_state import PollerState


class ConnectionManager(models.Manager["Connection"]):
    def get_queryset(self) -> models.QuerySet["Connection"]:
        return without_secrets(super().get_queryset())


class Connection(models.Model):
    class Switch(models.TextChoices):
        OFF = "off", _("Off")
        PAUSED = "paused", _("Paused")
        ON = "on", _("On")

    class Environment(models.TextChoices):
        PRODUCTION = "production", _("Production")
        SANDBOX = "sandbox", _("Test environment")

    contract_number = models.CharField(
        _("contract number"),
        max_length=50,
        unique=True,
        validators=[RegexValidator(r"^[A-Za-z0-9_-]+$", _("Use only letters, digits, hyphens and underscores."))],
        help_text=_("Part of the address that Scalepoint sends to. Choose any number, for example 2332."),
    )
    switch = models.CharField(
        _("switch"),
        max_length=10,
        choices=Switch,
        default=Switch.PAUSED,
        help_text=_(
            "Off: everything that arrives is refused. Paused: cases are stored, but no tasks are created yet. On: "
            "cases become tasks."
        ),
    )
    server_name = models.CharField(
        _("Scalepoint server name"), max_length=200, blank=True, help_text=_("You get it from Scalepoint.")
    )
    user_name = models.CharField(
        _("Scalepoint user name"), max_length=200, blank=True, help_text=_("You get it from Scalepoint.")
    )
    country = models.CharField(_("country"), max_length=2, default="dk")
    tenant = models.CharField(
        _("tenant"), max_length=100, blank=True, help_text=_("Your short name at Scalepoint, if they gave you one.")
    )
    environment = models.CharField(_("environment"), max_length=10, choices=Environment, default=Environment.PRODUCTION)

    secret = EncryptedTextField(
        _("secret of this connection"),
        blank=True,
        help_text=_("Scalepoint can identify itself with this instead of an insurance company's security token."),
    )
    secret_digest = models.CharField(max_length=64, blank=True, editable=False, db_index=True)
    secret_last4 = models.CharField(_("ends with"), max_length=4, blank=True, editable=False)
    # How we prove ourselves to Scalepoint; keys and certificates are rows of their own (ClientKey).
    client_id = models.CharField(
        _("client id"),
        max_length=200,
        blank=True,
        help_text=_("You get it from Scalepoint. It is used for sending and fetching."),
    )
    client_secret = EncryptedTextField(
        _("client secret"),
        blank=True,
        help_text=_("Only if Scalepoint gave you one. Otherwise a certificate created on this page is used."),
    )
    token_url = models.URLField(
        _("address for access tokens"),
        max_length=500,
        blank=True,
        help_text=_("Leave empty to use the environment's default."),
    )
    api_url = models.URLField(
        _("address for events"),
        max_length=500,
        blank=True,
        help_text=_("Leave empty to use the environment's default."),
    )
    ecx_url = models.URLField(
        _("address for files and invoices"),
        max_length=500,
        blank=True,
        help_text=_("Leave empty to use the environment's default."),
    )
    # Nothing leaves the house before somebody switched it on here.
    send_case_number = models.BooleanField(_("send our case number"), default=False)
    send_messages = models.BooleanField(_("send messages"), default=False)
    send_payment_status = models.BooleanField(_("send payment status"), default=False)
    send_files = models.BooleanField(_("send files"), default=False)
    send_invoices = models.BooleanField(_("send invoices"), default=False)

    # Fetching events instead of, or beside, being sent them.
    poll = models.BooleanField(
        _("fetch events from Scalepoint"),
        default=False,
        help_text=_("For sites that Scalepoint can't reach. Needs the client id."),
    )

    allow_issued_token = models.BooleanField(
        _("access tokens that we issued"), default=True, help_text=_("Scalepoint fetches them from our token address.")
    )
    allow_bearer = models.BooleanField(
        _("security token in the header"), default=True, help_text=_("Authorization: Bearer. The usual way.")
    )
    allow_basic = models.BooleanField(
        _("user name and security token"), default=True, help_text=_("HTTP Basic, with the Scalepoint user name.")
    )
    allow_body_token = models.BooleanField(
        _("security token inside the case"),
        default=False,
        help_text=_("Only if Scalepoint can't send it in the header."),
    )

    # Who we are, for the mail to Scalepoint.
    company_name = models.CharField(_("your company"), max_length=200, blank=True)
    company_tax_id = models.CharField(
        _("CVR number"), max_length=20, blank=True, validators=[validate_cvr], help_text=_("8 digits.")
    )
    contact_name = models.CharField(_("contact"), max_length=200, blank=True)
    contact_phone = models.CharField(_("phone"), max_length=50, blank=True)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = ConnectionManager()
    history = HistoricalRecords(excluded_fields=["secret", "secret_digest", "client_secret"])

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        permissions = [("manage_keys", "Can make keys and give out certificates")]

    def __str__(self) -> str:
        return self.contract_number

    def save(self, *args: Any, **kwargs: Any) -> None:
        created, named = self._state.adding, kwargs.get("update_fields")
        if "secret" not in self.get_deferred_fields() and (named is None or "secret" in named):
            self.secret_digest = digest(self.secret) if self.secret else ""
            self.secret_last4 = last4(self.secret) if self.secret else ""
            if named is not None:
                kwargs["update_fields"] = {*named, "secret_digest", "secret_last4"}
        with transaction.atomic(using=kwargs.get("using") or router.db_for_write(type(self), instance=self)):
            super().save(*args, **kwargs)
            if created:
                PollerState(connection=self).save(using=self._state.db)
                values: Any = DefaultValues(connection=self)
                if hasattr(self, "_history_user"):
                    values._history_user = self._history_user
                values.save(using=self._state.db)
