"""What an insurer settled on a case: who is obliged to whom, and who pays what.

The rows of a settlement point at each other with ``key``, as they do in Scalepoint's document: a newer statement
replaces them, and a link outlives that. Numbers of persons and of bank accounts are encrypted; ``hint`` and ``hints``
are what may be shown of them.
"""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.encryption import EncryptedTextField, without_secrets
from scalepoint_integration.models.columns import money, text


class Settlement(models.Model):
    """``key`` is the revision token where Scalepoint gave one, else the digest of the event. ``said`` orders two
    statements of the same settlement: the time, then the digest of the event."""

    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="settlements", verbose_name=_("case")
    )
    key = models.CharField(max_length=100, editable=False)
    revision_token = models.CharField(_("revision"), max_length=100, blank=True, db_index=True)
    said_at = models.DateTimeField(_("settled"))
    said = models.CharField(max_length=100, editable=False)
    approved_by = text(_("approved by"))
    approved_by_email = text(_("email"))
    approved_by_type = text()
    deductible = money(_("deductible"))
    share_of_vat = money(_("share of VAT"))
    depreciation = money(_("depreciation"))
    manual_reduction = money(_("manual reduction"))

    class Meta:
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")
        constraints = [models.UniqueConstraint(fields=["case", "key"], name="sp_settlement_once")]

    def __str__(self) -> str:
        return self.revision_token or self.key[:12]


def _settlement(related_name: str) -> Any:
    return models.ForeignKey(Settlement, models.CASCADE, related_name=related_name, verbose_name=_("settlement"))


class PartyManager(models.Manager["SettlementParty"]):
    def get_queryset(self) -> models.QuerySet["SettlementParty"]:
        return without_secrets(super().get_queryset())


class SettlementParty(models.Model):
    settlement = _settlement("parties")
    key = models.CharField(max_length=100)
    name = text(_("name"))
    identity = EncryptedTextField(_("CPR or CVR number"), blank=True, editable=False)
    hint = models.CharField(_("CPR or CVR number"), max_length=20, blank=True)
    internal_id = text()
    external_id = text()
    participant_id = text()
    roles = models.JSONField(_("roles"), default=list)
    street = text(_("street and number"))
    street2 = text()
    postal_code = text(_("postcode"))
    city = text(_("city"))
    country = text()
    contact_name = text()
    phone = text(_("phone"))
    email = text(_("email"))

    objects = PartyManager()

    class Meta:
        verbose_name = _("party")
        verbose_name_plural = _("parties")
        constraints = [models.UniqueConstraint(fields=["settlement", "key"], name="sp_party_once")]

    def __str__(self) -> str:
        return self.name or self.key


class Expense(models.Model):
    settlement = _settlement("expenses")
    key = models.CharField(max_length=100)
    uuid = text()
    number = text(_("invoice number"))
    kind = text(_("type"))
    total = money(_("total"))
    subtotal = money(_("excluding VAT"))
    vat = money(_("VAT"))
    currency = text(_("currency"))
    issue_date = models.DateField(_("issued"), null=True)
    due_date = models.DateField(_("due"), null=True)
    administrative = models.BooleanField(_("administrative"), null=True)
    third_party_claimant = models.BooleanField(_("to a third party"), null=True)
    payer = models.CharField(_("from"), max_length=100, blank=True)
    payee = models.CharField(_("to"), max_length=100, blank=True)
    claimant = models.CharField(_("claimant"), max_length=100, blank=True)
    policy_coverage = text(_("coverage"))
    registration_number = text(_("registration number"))

    class Meta:
        verbose_name = _("expense")
        verbose_name_plural = _("expenses")
        constraints = [models.UniqueConstraint(fields=["settlement", "key"], name="sp_expense_once")]

    def __str__(self) -> str:
        return self.number or self.kind or self.key


class Obligation(models.Model):
    class Kind(models.TextChoices):
        COMPENSATION = "compensation", _("Compensation")
        DEDUCTIBLE = "deductible", _("Deductible")
        DEPRECIATION = "depreciation", _("Depreciation")
        VAT = "vat", _("VAT")
        CREDIT_NOTE = "creditnote", _("Credit note")

    settlement = _settlement("obligations")
    key = models.CharField(max_length=100)
    kind = text(_("type"), choices=Kind)
    amount = money(_("amount"))
    currency = text(_("currency"))
    payer = models.CharField(_("from"), max_length=100, blank=True)
    payee = models.CharField(_("to"), max_length=100, blank=True)
    rule_name = text(_("rule"))
    expense = models.CharField(_("expense"), max_length=100, blank=True)
    credit_note = models.CharField(_("credit note"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("obligation")
        verbose_name_plural = _("obligations")
        constraints = [models.UniqueConstraint(fields=["settlement", "key"], name="sp_obligation_once")]

    def __str__(self) -> str:
        return self.get_kind_display() or self.key


class Payment(models.Model):
    """A transaction. It has its own ``said``: it is known by its uuid within the case, the newest statement of it
    counts, and none takes it away. Its links lead somewhere while ``said`` is that of its settlement: a newer statement
    may give the same key to another party. ``status`` is ours, to be told to Scalepoint."""

    class Status(models.TextChoices):
        PROCESSED = "processed", _("Paid out")
        CANCELLED = "cancelled", _("Cancelled")

    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="payments", verbose_name=_("case")
    )
    settlement = _settlement("payments")
    key = models.CharField(max_length=100)
    said = models.CharField(max_length=100, editable=False)
    uuid = models.CharField(max_length=100, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status, blank=True)
    due_date = models.DateField(_("due"), null=True)
    total = money(_("total"))
    currency = text(_("currency"))
    payer = models.CharField(_("from"), max_length=100, blank=True)
    payee = models.CharField(_("to"), max_length=100, blank=True)
    expenses = models.JSONField(default=list)
    obligations = models.JSONField(default=list)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            models.UniqueConstraint(fields=["case", "uuid"], condition=~Q(uuid=""), name="sp_payment_once"),
        ]

    def __str__(self) -> str:
        return self.uuid or self.key


class MeansManager(models.Manager["PaymentMeans"]):
    def get_queryset(self) -> models.QuerySet["PaymentMeans"]:
        return without_secrets(super().get_queryset())


class PaymentMeans(models.Model):
    """A way to pay; the one at place 0 is the suggested one."""

    class Code(models.TextChoices):
        DOMESTIC = "DOMESTIC_BANK_TRANSFER", _("Bank transfer")
        INTERNATIONAL = "INTERNATIONAL_BANK_TRANSFER", _("Transfer abroad")
        FIK = "FIK_PAYMENT", _("Payment slip (FIK)")
        NEMKONTO = "NEMKONTO_BANK_TRANSFER", _("To the NemKonto")

    class Channel(models.TextChoices):
        BANK = "DK:BANK", _("Danish bank")
        FIK = "DK:FIK", _("Payment slip (FIK)")
        IBAN = "IBAN", _("IBAN account")
        NEMKONTO = "DK:NEMKONTO", _("NemKonto account")

    payment = models.ForeignKey(Payment, models.CASCADE, related_name="means", verbose_name=_("payment"))
    place = models.PositiveSmallIntegerField(default=0)
    code = text(_("payment method"), choices=Code)
    channel = text(_("channel"), choices=Channel)
    payment_number = EncryptedTextField(blank=True, editable=False)
    instruction_id = EncryptedTextField(blank=True, editable=False)
    credit_account = EncryptedTextField(blank=True, editable=False)
    account = EncryptedTextField(blank=True, editable=False)
    branch = text(_("bank registration number"))
    note = text(_("note"))
    description = text(_("description"))
    hints = models.JSONField(default=dict, editable=False)

    objects = MeansManager()

    class Meta:
        verbose_name = _("payment method")
        verbose_name_plural = _("payment methods")

    def __str__(self) -> str:
        return self.get_code_display() or self.get_channel_display()
