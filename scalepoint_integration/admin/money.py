"""The money of a case on its page: reserves, settlements, settlements item by item. Read-only, for those who may see
settlements; of the numbers of persons and accounts only the hints."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from crm.formats import NOTHING, amount, in_words
from scalepoint_integration import errors
from scalepoint_integration.errors import describe
from scalepoint_integration.models import (
    Case,
    Payment,
    PaymentMeans,
    Reserve,
    Revision,
    RevisionItem,
    Settlement,
    SettlementParty,
)

if TYPE_CHECKING:
    InlineBase = admin.StackedInline[Any, Case]
    TableBase = admin.TabularInline[Any, Case]
else:
    InlineBase, TableBase = admin.StackedInline, admin.TabularInline


class _Money:
    """What Scalepoint told is changed by nobody, and money is not for everybody who sees cases."""

    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("scalepoint_integration.view_settlement"))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReserveInline(_Money, TableBase):
    model = Reserve
    ordering = ("reserve_id",)
    fields = ("reserve_id", "title", "type_name", "planned", "actual", "outgoing", "incoming", "is_default")
    readonly_fields = fields


class SettlementInline(_Money, InlineBase):
    model = Settlement
    ordering = ("-said_at", "-id")
    fields = ("said_at", "approver", "summary", "who", "bills", "duties", "transfers", "fetched")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        rows = super().get_queryset(request)
        return rows.prefetch_related("parties", "expenses", "obligations", "payments__means", "case__settlement_pulls")

    @admin.display(description=_("approved by"))
    def approver(self, settlement: Settlement) -> str:
        return " · ".join(filter(None, (settlement.approved_by, settlement.approved_by_email))) or NOTHING

    @admin.display(description=_("summary"))
    def summary(self, settlement: Settlement) -> str:
        names = ("deductible", "share_of_vat", "depreciation", "manual_reduction")
        return _said(settlement, names) or NOTHING

    @admin.display(description=_("parties"))
    def who(self, settlement: Settlement) -> Any:
        return _lines(settlement.parties.all(), _party)

    @admin.display(description=_("expenses"))
    def bills(self, settlement: Settlement) -> Any:
        names = _names(settlement)
        return _lines(
            settlement.expenses.all(),
            lambda each: (
                each.kind,
                each.number,
                _paid(each.total, each.currency),
                _way(names, each),
                _said(each, ("subtotal", "vat", "issue_date", "due_date")),
            ),
        )

    @admin.display(description=_("obligations"))
    def duties(self, settlement: Settlement) -> Any:
        names = _names(settlement)
        return _lines(
            settlement.obligations.all(),
            lambda each: (
                each.get_kind_display(),
                _paid(each.amount, each.currency),
                _way(names, each),
                each.rule_name,
            ),
        )

    @admin.display(description=_("payments"))
    def transfers(self, settlement: Settlement) -> Any:
        names = _names(settlement)
        return _lines(settlement.payments.all(), lambda each: _payment(settlement, names, each))

    @admin.display(description=_("item by item"))
    def fetched(self, settlement: Settlement) -> Any:
        if not settlement.revision_token:
            return _("Scalepoint did not provide a revision to fetch.")
        told = [
            f"{pull.get_status_display()}. {describe(pull.error_code) if pull.error_code else ''}".strip()
            for pull in settlement.case.settlement_pulls.all()
            if pull.revision_token == settlement.revision_token
        ]
        # Asked for on another case of the same connection: a revision belongs to one.
        return " ".join(told) or describe(errors.OTHER_SETTLEMENT)


class RevisionInline(_Money, InlineBase):
    model = Revision
    ordering = ("-settled_at", "-id")
    fields = ("settled_at", "status", "settlement_type", "approved_by", "amounts", "lines", "sums")
    readonly_fields = fields
    _AMOUNTS = (
        *("sub_total_amount", "repair_amount", "depreciation", "policy_deductible", "applied_deductible"),
        *("overall_manual_reduction", "applied_manual_reduction", "replacement_amount", "cash_compensation"),
        "invoice_amount",
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        return super().get_queryset(request).prefetch_related("items", "groups")

    @admin.display(description=_("amounts"))
    def amounts(self, revision: Revision) -> str:
        return _said(revision, self._AMOUNTS) or NOTHING

    @admin.display(description=_("items"))
    def lines(self, revision: Revision) -> Any:
        return _lines(revision.items.all(), _item)

    @admin.display(description=_("groups of items"))
    def sums(self, revision: Revision) -> Any:
        return _lines(revision.groups.all(), lambda each: (each.get_kind_display(), each.name, _paid(each.amount, "")))


INLINES = (ReserveInline, SettlementInline, RevisionInline)


def _party(party: SettlementParty) -> tuple[str, ...]:
    place = " ".join(filter(None, (party.street, party.postal_code, party.city)))
    return (party.name or party.key, ", ".join(party.roles), party.hint, place, party.phone, party.email)


def _payment(settlement: Settlement, names: dict[str, str], payment: Payment) -> tuple[str, ...]:
    told = _paid(payment.total, payment.currency), _said(payment, ("due_date",)), *map(_means, payment.means.all())
    # The keys of an older statement may be other parties in the newest.
    current = payment.said == settlement.said
    note = _way(names, payment) if current else str(_("not in the latest statement"))
    return (*told, note, payment.get_status_display())


def _means(means: PaymentMeans) -> str:
    words = (str(means), means.branch, *means.hints.values(), means.note, means.description)
    return " ".join(filter(None, words))


def _item(item: RevisionItem) -> tuple[str, ...]:
    kind = " / ".join(filter(None, (item.category, item.sub_category)))
    product = " ".join(filter(None, (item.product_brand, item.product_code)))
    amounts = (
        *("quantity", "age_months", "base_price", "depreciation_percentage", "depreciation_amount"),
        *("replacement_amount", "product_retail_price", "product_scalepoint_price"),
        *("voucher_code", "voucher_face_value", "voucher_base_price"),
    )
    return (item.get_status_display(), kind, item.description, product, _said(item, amounts))


def _lines(rows: Iterable[Any], parts: Callable[[Any], Iterable[str]]) -> SafeString | str:
    told = (" · ".join(filter(None, parts(row))) for row in rows)
    return format_html_join("", "<div>{}</div>", ((line,) for line in told)) or NOTHING


def _names(settlement: Settlement) -> dict[str, str]:
    return {party.key: str(party) for party in settlement.parties.all()}


def _way(names: dict[str, str], row: Any) -> str:
    """Who pays whom. A party that is not in the document any more is told by its key."""
    if not row.payer and not row.payee:
        return ""
    return f"{names.get(row.payer, row.payer) or '?'} → {names.get(row.payee, row.payee) or '?'}"


def _said(row: Any, names: Iterable[str]) -> str:
    """The fields that hold something, each with its label."""
    values = ((row._meta.get_field(name).verbose_name, getattr(row, name)) for name in names)
    return " · ".join(f"{label}: {in_words(value)}" for label, value in values if value not in (None, ""))


def _paid(value: Decimal | None, currency: str) -> str:
    return "" if value is None else amount(value, currency)
