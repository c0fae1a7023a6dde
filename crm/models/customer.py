from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.models.facts import ContactFacts


class CustomerType(models.Model):
    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        verbose_name = _("customer type")
        verbose_name_plural = _("customer types")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Customer(ContactFacts):
    """Whom the work is done for: most often the policyholder, else the insurance company itself.

    The customer number is not unique: registers that are taken over have doubles, and a person decides then.
    """

    class Kind(models.TextChoices):
        PERSON = "person", _("Person")
        COMPANY = "company", _("Company")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.PERSON)
    customer_number = models.CharField(_("customer number"), max_length=50, blank=True, db_index=True)
    customer_type = models.ForeignKey(
        "scalepoint_crm.CustomerType",
        verbose_name=_("customer type"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    insurer = models.ForeignKey(
        "scalepoint_crm.InsuranceCompany",
        verbose_name=_("insurance company"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="policyholders",
    )
    policy_number = models.CharField(_("policy number"), max_length=100, blank=True, db_index=True)
    company_tax_id = models.CharField(_("CVR number"), max_length=20, blank=True)
    team = models.ForeignKey(
        "scalepoint_crm.Team", verbose_name=_("team"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    responsible = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("our reference"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    notes = models.TextField(_("notes"), blank=True)
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Inactive customers are never matched to new cases. Use this for duplicates."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.customer_number} {self.name}".strip()


class Contact(ContactFacts):
    """A further person at the customer."""

    customer = models.ForeignKey(
        "scalepoint_crm.Customer", verbose_name=_("customer"), on_delete=models.CASCADE, related_name="contacts"
    )
    role = models.CharField(_("role"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name
