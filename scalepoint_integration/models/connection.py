"""A contract with Scalepoint: its number in the address, its switch, its defaults, its credentials."""

from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from crm.encryption import EncryptedTextField, digest, without_secrets
from crm.masks import last4
from crm.models.company import validate_cvr
from scalepoint_integration.models.case_name import DEFAULT_TEMPLATE, validate_case_name

# The dimensions of a task, as the connection presets them. The names are fields of tasks.Task too.
DIMENSIONS = ("order_type", "case_group", "price_group", "margin_group", "department", "carrier", "purpose")


def _dimension(kind: str, label: Any) -> Any:
    return models.ForeignKey(
        "scalepoint_tasks.Dimension",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        limit_choices_to={"kind": kind},
        verbose_name=label,
    )


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

    class CustomerIs(models.TextChoices):
        POLICYHOLDER = "policyholder", _("The policyholder")
        INSURER = "insurer", _("The insurance company")

    class NewCases(models.TextChoices):
        AUTOMATIC = "automatic", _("Create the task automatically")
        INBOX = "inbox", _("Put it in the inbox for a person to create the task")

    class Winner(models.TextChoices):
        SCALEPOINT = "scalepoint", _("The default values for Scalepoint")
        CUSTOMER = "customer", _("The customer's own values")

    class NoPhone(models.TextChoices):
        ASK = "ask", _("Ask me")
        NEW = "new", _("Always create a new customer")

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
    poll_cursor = models.CharField(max_length=100, blank=True, editable=False)
    poll_next = models.TextField(blank=True, editable=False)
    poll_claimed_until = models.DateTimeField(null=True, editable=False)
    polled_at = models.DateTimeField(_("last fetched"), null=True, editable=False)
    poll_problem = models.CharField(max_length=10, blank=True, editable=False)

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

    new_cases = models.CharField(_("when a case arrives"), max_length=10, choices=NewCases, default=NewCases.AUTOMATIC)
    winner = models.CharField(
        _("which values win"),
        max_length=10,
        choices=Winner,
        default=Winner.SCALEPOINT,
        help_text=_("Values set on an insurance company always override both."),
    )
    customer_is = models.CharField(
        _("the customer on a case is"), max_length=15, choices=CustomerIs, default=CustomerIs.POLICYHOLDER
    )
    phone_as_customer_number = models.BooleanField(
        _("use the phone number as customer number"),
        default=True,
        help_text=_(
            "If one customer has that number, that customer is used. If none has it, a customer is created. If "
            "several have it, you are asked."
        ),
    )
    no_phone = models.CharField(_("when there is no phone number"), max_length=5, choices=NoPhone, default=NoPhone.ASK)
    customer_type = models.ForeignKey(
        "scalepoint_crm.CustomerType",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("customer type for new customers"),
    )
    team = models.ForeignKey(
        "scalepoint_crm.Team", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("default team")
    )
    responsible = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("responsible user"),
        help_text=_("Also becomes “our reference” on new customers."),
    )
    task_template = models.ForeignKey(
        "scalepoint_tasks.TaskTemplate",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("task template"),
    )
    case_name_template = models.CharField(
        _("case name template"),
        max_length=200,
        default=DEFAULT_TEMPLATE,
        validators=[validate_case_name],
        help_text=_("Becomes the title of the task. Fields in square brackets are filled in from the case."),
    )
    order_type = _dimension("order_type", _("order type"))
    case_group = _dimension("case_group", _("case group"))
    price_group = _dimension("price_group", _("price group"))
    margin_group = _dimension("margin_group", _("margin group"))
    department = _dimension("department", _("department"))
    carrier = _dimension("carrier", _("carrier"))
    purpose = _dimension("purpose", _("purpose"))
    # Who we are, for the mail to Scalepoint.
    company_name = models.CharField(_("your company"), max_length=200, blank=True)
    company_tax_id = models.CharField(
        _("CVR number"), max_length=20, blank=True, validators=[validate_cvr], help_text=_("8 digits.")
    )
    contact_name = models.CharField(_("contact"), max_length=200, blank=True)
    contact_phone = models.CharField(_("phone"), max_length=50, blank=True)

    failure_recipients = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        blank=True,
        related_name="+",
        verbose_name=_("who is notified of errors"),
    )
    silence_days = models.PositiveSmallIntegerField(
        _("working days of silence"),
        null=True,
        blank=True,
        default=3,
        help_text=_(
            "You are notified when an insurance company has sent nothing for this many working days. Leave empty to "
            "turn this off."
        ),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = ConnectionManager()
    history = HistoricalRecords(
        m2m_fields=[failure_recipients],
        excluded_fields=[
            "secret",
            "secret_digest",
            "client_secret",
            "poll_cursor",
            "poll_next",
            "poll_claimed_until",
            "polled_at",
            "poll_problem",
        ],
    )

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        permissions = [("manage_keys", "Can make keys and give out certificates")]

    def __str__(self) -> str:
        return self.contract_number

    def save(self, *args: Any, **kwargs: Any) -> None:
        named = kwargs.get("update_fields")
        if "secret" not in self.get_deferred_fields() and (named is None or "secret" in named):
            self.secret_digest = digest(self.secret) if self.secret else ""
            self.secret_last4 = last4(self.secret) if self.secret else ""
            if named is not None:
                kwargs["update_fields"] = {*named, "secret_digest", "secret_last4"}
        super().save(*args, **kwargs)
