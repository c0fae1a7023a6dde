"""A revision of a settlement as the Settlement API gives it, and the queue of those to fetch."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.models.columns import money, text
from scalepoint_integration.workqueue import QueueItem


class SettlementPull(QueueItem):
    connection = models.ForeignKey(
        "scalepoint_integration.Connection", models.PROTECT, related_name="+", verbose_name=_("connection")
    )
    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="settlement_pulls", verbose_name=_("case")
    )
    revision_token = models.CharField(_("revision"), max_length=100, editable=False)
    created_at = models.DateTimeField(_("received"), auto_now_add=True)

    class Meta(QueueItem.Meta):
        verbose_name = _("settlement to fetch")
        verbose_name_plural = _("settlements to fetch")
        constraints = [models.UniqueConstraint(fields=["connection", "revision_token"], name="sp_settlementpull_once")]

    def __str__(self) -> str:
        return self.revision_token


class Revision(models.Model):
    class Status(models.TextChoices):
        SETTLED = "SETTLED", _("Settled")
        IN_PROGRESS = "IN_PROGRESS", _("In progress")
        LOCKED = "LOCKED", _("Locked")
        CANCELLED = "CANCELLED", _("Cancelled")
        CLOSED_EXTERNAL = "CLOSED_EXTERNAL", _("Closed elsewhere")

    class Kind(models.TextChoices):
        EXTERNALLY = "SETTLED_EXTERNALLY", _("Settled elsewhere")
        WITH_EMAIL = "SETTLED_WITH_EMAIL", _("Settled with email")
        WITHOUT_EMAIL = "SETTLED_WITHOUT_EMAIL", _("Settled without email")
        FOR_REPLACEMENT = "SETTLED_FOR_REPLACEMENT", _("Settled with replacement goods")
        CANCELLED = "CANCELLED", _("Cancelled")
        UNKNOWN = "UNKNOWN", _("Unknown")

    connection = models.ForeignKey(
        "scalepoint_integration.Connection", models.PROTECT, related_name="+", verbose_name=_("connection")
    )
    case = models.ForeignKey(
        "scalepoint_integration.Case", models.CASCADE, related_name="revisions", verbose_name=_("case")
    )
    revision_token = models.CharField(_("revision"), max_length=100)
    policy_number = text(_("policy number"))
    status = text(_("status"), choices=Status)
    settlement_type = text(_("type"), choices=Kind)
    approved_by = text(_("approved by"))
    settled_at = models.DateTimeField(_("settled"), null=True)
    repair_amount = money(_("repair"))
    sub_total_amount = money(_("subtotal"))
    policy_deductible = money(_("policy deductible"))
    applied_deductible = money(_("deductible"))
    depreciation = money(_("depreciation"))
    overall_manual_reduction = money(_("total manual reduction"))
    applied_manual_reduction = money(_("manual reduction"))
    replacement_amount = money(_("replacement"))
    cash_compensation = money(_("cash compensation"))
    invoice_amount = money(_("invoices"))

    class Meta:
        verbose_name = _("itemised settlement")
        verbose_name_plural = _("itemised settlements")
        constraints = [models.UniqueConstraint(fields=["connection", "revision_token"], name="sp_revision_once")]

    def __str__(self) -> str:
        return self.revision_token


class RevisionGroup(models.Model):
    class Kind(models.TextChoices):
        OVERVIEW = "OVERVIEW", _("Overview")
        VALUATION = "VALUATION", _("Valuation")
        VOUCHER = "VOUCHER", _("Voucher")

    revision = models.ForeignKey(Revision, models.CASCADE, related_name="groups", verbose_name=_("revision"))
    internal_id = text()
    name = text(_("name"))
    kind = text(_("type"), choices=Kind)
    amount = money(_("amount"))

    class Meta:
        verbose_name = _("group of items")
        verbose_name_plural = _("groups of items")

    def __str__(self) -> str:
        return self.name or self.internal_id


class RevisionItem(models.Model):
    """``group_id`` is the ``internal_id`` of a group of the same revision, as Scalepoint wrote it."""

    class Status(models.TextChoices):
        DRAFT = "DRAFT", _("Draft")
        SETTLED = "SETTLED", _("Settled")
        REPAIRED = "REPAIRED", _("Repaired")
        REJECTED = "REJECTED", _("Rejected")

    revision = models.ForeignKey(Revision, models.CASCADE, related_name="items", verbose_name=_("revision"))
    item_id = text()
    status = text(_("status"), choices=Status)
    category = text(_("category"))
    sub_category = text(_("subcategory"))
    sub_category_token = text()
    description = text(_("description"))
    quantity = money(_("quantity"))
    age_months = money(_("age in months"))
    base_price = money(_("base price"))
    depreciation_percentage = money(_("depreciation percentage"))
    depreciation_amount = money(_("depreciation"))
    replacement_amount = money(_("replacement"))
    group_id = text()
    product_brand = text(_("brand"))
    product_category = text()
    product_code = text(_("product code"))
    product_retail_price = money(_("retail price"))
    product_scalepoint_price = money(_("Scalepoint's price"))
    voucher_code = text(_("voucher"))
    voucher_face_value = money(_("face value"))
    voucher_base_price = money(_("base price of the voucher"))

    class Meta:
        verbose_name = _("item")
        verbose_name_plural = _("items")

    def __str__(self) -> str:
        return self.description or self.item_id
