"""``case_settled``: who pays what to whom. Documented by Scalepoint, in a table and an example that differ.

Objects point at each other with ``{"$ref": "/parties/1"}``, and say who they are with ``"$id": "/parties/1"``. Here a
link becomes the key of the row it leads to, "" where it leads nowhere. Numbers of persons and of bank accounts never
show in a repr.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.assignment import Address
from scalepoint_integration.payloads.links import Links
from scalepoint_integration.payloads.reading import Node, as_text


@dataclass(frozen=True, slots=True)
class Party:
    key: str
    name: str = ""
    identity: str = field(default="", repr=False)  # a CPR or CVR number
    internal_id: str = ""
    external_id: str = ""
    participant_id: str = ""
    roles: tuple[str, ...] = ()
    address: Address = field(default_factory=Address)
    contact_name: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Expense:
    key: str
    uuid: str = ""
    number: str = ""  # usually the service partner's invoice number
    kind: str = ""
    total: Decimal | None = None
    subtotal: Decimal | None = None
    vat: Decimal | None = None
    currency: str = ""
    issue_date: date | None = None
    due_date: date | None = None
    administrative: bool | None = None
    third_party_claimant: bool | None = None
    payer: str = ""
    payee: str = ""
    claimant: str = ""
    policy_coverage: str = ""
    registration_number: str = ""


@dataclass(frozen=True, slots=True)
class Obligation:
    key: str
    kind: str = ""
    amount: Decimal | None = None
    currency: str = ""
    payer: str = ""
    payee: str = ""
    rule_name: str = ""
    expense: str = ""
    credit_note: str = ""


@dataclass(frozen=True, slots=True)
class Means:
    """A way to pay."""

    code: str = ""
    channel: str = ""
    payment_number: str = field(default="", repr=False)
    instruction_id: str = field(default="", repr=False)
    credit_account: str = field(default="", repr=False)
    account: str = field(default="", repr=False)
    branch: str = ""
    note: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    key: str
    uuid: str = ""
    due_date: date | None = None
    total: Decimal | None = None
    currency: str = ""
    payer: str = ""
    payee: str = ""
    expenses: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    means: tuple[Means, ...] = ()  # the suggested one first


@dataclass(frozen=True, slots=True)
class Settlement:
    revision_token: str
    approved_by: str
    approved_by_email: str
    approved_by_type: str
    deductible: Decimal | None
    share_of_vat: Decimal | None
    depreciation: Decimal | None
    manual_reduction: Decimal | None
    parties: tuple[Party, ...]
    expenses: tuple[Expense, ...]
    obligations: tuple[Obligation, ...]
    payments: tuple[Payment, ...]


def parse(event: Any) -> Settlement:
    """The settlement in a parsed event. Never raises: what is missing or odd is empty."""
    top = Node(event)
    settlement = top.node("settlement")
    summary, approver = settlement.node("summary") or top.node("summary"), settlement.node("approvedBy")
    links = Links({name: top.raw(name) or settlement.raw(name) for name in ("parties", *_LINKED, "payments")})
    # What is written out where a link is expected joins its list: so those that link come before the linked.
    payments = tuple(_payment(key, node, links) for key, node in links.rows("payments"))
    obligations = tuple(_obligation(key, node, links) for key, node in links.rows("obligations"))
    expenses = tuple(_expense(key, node, links) for key, node in links.rows("expenses"))
    return Settlement(
        revision_token=(settlement.text("revisionToken") or top.text("revisionToken")).lower()[:100],
        approved_by=approver.text("name") or settlement.text("approvedBy"),
        approved_by_email=approver.text("email"),
        approved_by_type=approver.text("type"),
        deductible=summary.amount("deductible"),
        share_of_vat=summary.amount("shareOfVat"),
        depreciation=summary.amount("depreciation"),
        manual_reduction=summary.amount("manualReduction"),
        parties=tuple(_party(key, node) for key, node in links.rows("parties")),
        expenses=expenses,
        obligations=obligations,
        payments=payments,
    )


_LINKED = ("expenses", "obligations")


def _party(key: str, node: Node) -> Party:
    address, contact = node.node("address"), node.node("contact")
    return Party(
        key=key,
        name=node.text("name") or contact.text("name"),
        identity=node.text("id"),
        internal_id=node.text("internalId"),
        external_id=node.text("externalId"),
        participant_id=node.text("participantId"),
        roles=tuple(_texts(node.raw("roles", "role"))),
        address=Address(
            street=address.text("street", "street1") or node.text("address"),
            street2=address.text("street2"),
            postal_code=address.text("postalCode"),
            city=address.text("city"),
            country=address.text("countryCode", "country").upper()[:2],
        ),
        contact_name=contact.text("name"),
        phone=contact.text("telephone", "phone", "phoneNumber"),
        email=contact.text("email"),
    )


def _expense(key: str, node: Node, links: Links) -> Expense:
    coverage = node.raw("policyCoverage")
    return Expense(
        key=key,
        uuid=node.text("uuid").lower(),
        number=node.text("id"),
        kind=node.text("expenseType", "type"),
        total=node.amount("total"),
        subtotal=node.amount("subtotal"),
        vat=node.amount("vat"),
        currency=node.text("currencyCode").upper(),
        issue_date=node.day("issueDate"),
        due_date=node.day("dueDate"),
        administrative=node.flag("administrative"),
        third_party_claimant=node.flag("isPayeeThirdPartyClaimant"),
        payer=links.key("parties", node.raw("payerParty")),
        payee=links.key("parties", node.raw("payeeParty")),
        claimant=links.key("parties", node.raw("claimantParty")),
        policy_coverage=(
            strict_json.canonical(coverage).decode() if isinstance(coverage, dict | list) else as_text(coverage)
        ),
        registration_number=node.text("registrationNo", "registrationNumber"),
    )


def _obligation(key: str, node: Node, links: Links) -> Obligation:
    return Obligation(
        key=key,
        kind=node.text("obligationType", "type"),
        amount=node.amount("amount"),
        currency=node.text("currencyCode").upper(),
        payer=links.key("parties", node.raw("payerParty")),
        payee=links.key("parties", node.raw("payeeParty")),
        rule_name=node.text("ruleName"),
        expense=links.key("expenses", node.raw("expense")),
        credit_note=links.key("expenses", node.raw("creditNote")),
    )


def _payment(key: str, node: Node, links: Links) -> Payment:
    suggested = [_means(each) for each in node.nodes("paymentMeans")]
    others = [_means(each) for each in node.nodes("additionalPaymentMeans")]
    return Payment(
        key=key,
        uuid=node.text("uuid").lower()[:100],
        due_date=node.day("dueDate"),
        total=node.amount("total"),
        currency=node.text("currencyCode").upper(),
        payer=links.key("parties", node.raw("payerParty")),
        payee=links.key("parties", node.raw("payeeParty")),
        expenses=links.keys("expenses", node.raw("expenses")),
        obligations=links.keys("obligations", node.raw("obligations")),
        means=(*(suggested[:1] or [Means()]), *suggested[1:], *others) if suggested or others else (),
    )


def _means(node: Node) -> Means:
    account = node.node("payeeFinancialAccount")
    branch = account.node("fiBranch")
    return Means(
        code=node.text("paymentMeansCode").upper(),
        channel=node.text("paymentChannelCode").upper(),
        payment_number=node.text("paymentId"),
        instruction_id=node.text("instructionId"),
        credit_account=_number(node.raw("creditAccount")),
        account=account.text("id") or _number(node.raw("payeeFinancialAccount")),
        branch=branch.text("id") or account.text("fiBranch"),
        note=account.text("paymentNote") or node.text("paymentNote"),
        description=account.text("paymentDescription") or node.text("paymentDescription"),
    )


def _number(value: Any) -> str:
    """An account that may be a number, or an object with one."""
    return Node(value).text("id", "accountId", "number") if isinstance(value, dict) else as_text(value)


def _texts(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        text = Node(each).text("role", "name", "type") if isinstance(each, dict) else as_text(each)
        if text:
            yield text
