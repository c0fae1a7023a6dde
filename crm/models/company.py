from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords
from stdnum.dk import cvr

from crm.models.facts import ContactFacts

AS_DEFAULT = _("Use the default value")


def validate_cvr(value: str) -> None:
    if not cvr.is_valid(value):
        raise ValidationError(
            _("This is not a valid CVR number. A CVR number has 8 digits. Check for a typing error."), code="cvr"
        )


class InsuranceCompany(ContactFacts):
    """An insurance company that sends cases, known by the alias that Scalepoint gives it. Blank defaults inherit."""

    class CustomerIs(models.TextChoices):
        POLICYHOLDER = "policyholder", _("The policyholder")
        INSURER = "insurer", _("The insurance company")

        __empty__ = AS_DEFAULT

    alias = models.CharField(
        _("alias"),
        max_length=200,
        help_text=_("You get the alias from Scalepoint or the insurance company. Capital letters make no difference."),
    )
    sub_alias = models.CharField(
        _("sub-alias"),
        max_length=200,
        blank=True,
        help_text=_("Only if you were given one. Leave empty to match every sub-alias that has no entry."),
    )
    company_tax_id = models.CharField(
        _("CVR number"), max_length=20, blank=True, validators=[validate_cvr], help_text=_("8 digits.")
    )
    active = models.BooleanField(
        _("active"), default=True, help_text=_("New cases from an inactive company wait for a person.")
    )
    customer = models.ForeignKey(
        "scalepoint_crm.Customer",
        verbose_name=_("the company as a customer"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="is_insurer",
        help_text=_(
            "Used when the insurance company is the customer. Leave empty to find the customer by name, or create it."
        ),
    )
    team = models.ForeignKey(
        "scalepoint_crm.Team",
        verbose_name=_("team"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("For new cases from this company. Leave empty to use the default value."),
    )
    responsible = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("responsible user"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("For new cases from this company. Leave empty to use the default value."),
    )
    task_template = models.ForeignKey(
        "scalepoint_tasks.TaskTemplate",
        verbose_name=_("task template"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text=_("For new cases from this company. Leave empty to use the default value."),
    )
    customer_is = models.CharField(_("customer on the case"), max_length=20, blank=True, choices=CustomerIs, default="")
    phone_as_customer_number = models.BooleanField(
        _("use the phone number as customer number"),
        null=True,
        blank=True,
        choices=[(None, AS_DEFAULT), (True, _("Yes")), (False, _("No"))],
        help_text=_("Applies only when the policyholder is the customer."),
    )
    # Kinds of events that are taken from the company, by the names that Scalepoint gives them.
    event_types = models.JSONField(
        _("event types"),
        default=list,
        blank=True,
        help_text=_("The events you accept from this company. Leave empty to accept all events."),
    )
    notes = models.TextField(_("notes"), blank=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("insurance company")
        verbose_name_plural = _("insurance companies")
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                Lower("alias"),
                Lower("sub_alias"),
                name="sp_insurer_alias",
                violation_error_message=_("Another insurance company already has this alias and sub-alias."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        # What is looked up is stripped too; a space pasted along must not make a company unknown.
        self.alias, self.sub_alias = self.alias.strip(), self.sub_alias.strip()
        super().save(*args, **kwargs)
