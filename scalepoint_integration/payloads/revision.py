"""The answer of the Settlement API: one revision of a settlement, item by item. Documented by Scalepoint."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from scalepoint_integration.payloads.reading import Node


@dataclass(frozen=True, slots=True)
class Item:
    item_id: str
    status: str
    category: str
    sub_category: str
    sub_category_token: str
    description: str
    quantity: Decimal | None
    age_months: Decimal | None
    base_price: Decimal | None
    depreciation_percentage: Decimal | None
    depreciation_amount: Decimal | None
    replacement_amount: Decimal | None
    group_id: str
    product_brand: str
    product_category: str
    product_code: str
    product_retail_price: Decimal | None
    product_scalepoint_price: Decimal | None
    voucher_code: str
    voucher_face_value: Decimal | None
    voucher_base_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Group:
    internal_id: str
    name: str
    kind: str
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Revision:
    case_token: str
    case_number: str
    policy_number: str
    revision_token: str
    status: str
    settlement_type: str
    approved_by: str
    settled_at: datetime | None
    repair_amount: Decimal | None
    sub_total_amount: Decimal | None
    policy_deductible: Decimal | None
    applied_deductible: Decimal | None
    depreciation: Decimal | None
    overall_manual_reduction: Decimal | None
    applied_manual_reduction: Decimal | None
    replacement_amount: Decimal | None
    cash_compensation: Decimal | None
    invoice_amount: Decimal | None
    items: tuple[Item, ...]
    groups: tuple[Group, ...]


def parse(document: Any) -> Revision | None:
    """The revision in a parsed answer, None where there is none. Never raises: what is missing or odd is empty."""
    top = Node(document)
    case, told = top.node("case"), top.node("settlementDetails")
    if not told:
        return None
    return Revision(
        case_token=case.text("token").lower()[:100],
        case_number=case.text("number")[:100],
        policy_number=case.text("policyNumber")[:100],
        revision_token=told.text("revisionToken").lower()[:100],
        status=told.text("status").upper(),
        settlement_type=told.text("settlementType").upper(),
        approved_by=told.text("approvedBy"),
        settled_at=told.moment("timestamp"),
        repair_amount=told.amount("repairAmount"),
        sub_total_amount=told.amount("subTotalAmount"),
        policy_deductible=told.amount("policyDeductible"),
        applied_deductible=told.amount("appliedDeductible"),
        depreciation=told.amount("depreciation"),
        overall_manual_reduction=told.amount("overallManualReduction"),
        applied_manual_reduction=told.amount("appliedManualReduction"),
        replacement_amount=told.amount("replacementAmount"),
        cash_compensation=told.amount("cashCompensation"),
        invoice_amount=told.amount("invoiceAmount"),
        items=tuple(map(_item, told.nodes("items"))),
        groups=tuple(map(_group, told.nodes("groups"))),
    )


def _item(node: Node) -> Item:
    product, voucher = node.node("product"), node.node("voucher")
    return Item(
        item_id=node.text("itemId").lower(),
        status=node.text("status").upper(),
        category=node.text("category"),
        sub_category=node.text("subCategory"),
        sub_category_token=node.text("subCategoryToken").lower(),
        description=node.text("description"),
        quantity=node.amount("quantity"),
        age_months=node.amount("ageMonths"),
        base_price=node.amount("basePrice"),
        depreciation_percentage=node.amount("depreciationPercentage"),
        depreciation_amount=node.amount("depreciationAmount"),
        replacement_amount=node.amount("replacementAmount"),
        group_id=node.node("group").text("internalId") or node.text("group"),
        product_brand=product.text("brand"),
        product_category=product.text("catalogCategory"),
        product_code=product.text("productCode"),
        product_retail_price=product.amount("retailPrice"),
        product_scalepoint_price=product.amount("scalepointPrice"),
        voucher_code=voucher.text("voucherCode"),
        voucher_face_value=voucher.amount("faceValue"),
        voucher_base_price=voucher.amount("voucherBasePrice"),
    )


def _group(node: Node) -> Group:
    return Group(
        internal_id=node.text("internalId"),
        name=node.text("name"),
        kind=node.text("type").upper(),
        amount=node.amount("amount"),
    )
