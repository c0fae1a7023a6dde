"""What new cases of a connection, their tasks and their customers get, who wins where several have a say, and who is
told of errors."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from scalepoint_integration.models.case_name import DEFAULT_TEMPLATE, validate_case_name

# The dimensions of a task, as the default values preset them. The names are fields of tasks.Task too.
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


class DefaultValuesManager(models.Manager["DefaultValues"]):
    def get_queryset(self) -> models.QuerySet["DefaultValues"]:
        """With the connection they are called by, without its secrets."""
        rows = super().get_queryset().select_related("connection")
        return rows.defer("connection__secret", "connection__client_secret")


class DefaultValues(models.Model):
    """One for each connection, created with it."""

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

    connection = models.OneToOneField(
        "scalepoint_integration.Connection",
        models.CASCADE,
        primary_key=True,
        related_name="default_values",
        verbose_name=_("connection"),
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

    objects = DefaultValuesManager()
    history = HistoricalRecords(m2m_fields=[failure_recipients])

    class Meta:
        default_permissions = ("view", "change")
        verbose_name = _("default values and customer rules")
        verbose_name_plural = _("default values and customer rules")

    def __str__(self) -> str:
        try:
            return str(self.connection)
        except ObjectDoesNotExist:  # out of the history of one that was deleted
            return str(self.pk)
