"""``case_settled``: who pays what to whom. A statement is a snapshot of one settlement; a newer one replaces it."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from crm import masks
from scalepoint_integration.fetching import settlements
from scalepoint_integration.handling.common import lock_case
from scalepoint_integration.models import (
    Expense,
    InboundEvent,
    Obligation,
    Payment,
    PaymentMeans,
    Settlement,
    SettlementParty,
)
from scalepoint_integration.payloads import settlement as told
from scalepoint_integration.payloads.reading import Node

_OWN = ("revision_token", "approved_by", "approved_by_email", "approved_by_type")
_AMOUNTS = ("deductible", "share_of_vat", "depreciation", "manual_reduction")


def handle(event: InboundEvent, payload: Any, now: datetime) -> None:
    case = lock_case(event, Node(payload).node("case"))
    facts = told.parse(payload)
    at = (event.occurred_at or event.received_at).astimezone(UTC)
    # Compared as text: the digest makes an order of two statements of the same time, whichever came first.
    said = f"{at.isoformat(timespec='microseconds')} {event.dedupe_key}"
    key = facts.revision_token or event.dedupe_key
    settlement = Settlement.objects.filter(case=case, key=key).first()
    settlement = settlement or Settlement(case=case, key=key)
    newest = settlement.said <= said
    if newest:
        settlement.said_at, settlement.said = at, said
        _replace(settlement, facts)
    for payment in facts.payments:
        if newest or payment.uuid:
            _put_payment(settlement, payment, said)
    if facts.revision_token:
        settlements.request(case, facts.revision_token)


def _replace(settlement: Settlement, facts: told.Settlement) -> None:
    """Everything but the payments, which outlive a statement."""
    for name in (*_OWN, *_AMOUNTS):
        setattr(settlement, name, getattr(facts, name))
    settlement.save()
    settlement.parties.all().delete()
    settlement.expenses.all().delete()
    settlement.obligations.all().delete()
    settlement.payments.filter(uuid="").delete()
    SettlementParty.objects.bulk_create(_party(settlement, party) for party in facts.parties)
    Expense.objects.bulk_create(Expense(settlement=settlement, **asdict(each)) for each in facts.expenses)
    Obligation.objects.bulk_create(Obligation(settlement=settlement, **asdict(each)) for each in facts.obligations)


def _party(settlement: Settlement, party: told.Party) -> SettlementParty:
    facts = asdict(party)
    address = facts.pop("address")
    return SettlementParty(settlement=settlement, hint=masks.of_identity(party.identity), **facts, **address)


def _put_payment(settlement: Settlement, payment: told.Payment, said: str) -> None:
    """Of a payment with a uuid the newest statement counts, whichever settlement of the case it stands in; its status
    is ours and stays. One without belongs to its statement."""
    row = Payment.objects.filter(case=settlement.case, uuid=payment.uuid).first() if payment.uuid else None
    if row is not None and row.said > said:
        return
    row = row or Payment(case=settlement.case)
    row.settlement, row.said = settlement, said
    for name in ("key", "uuid", "due_date", "total", "currency", "payer", "payee"):
        setattr(row, name, getattr(payment, name))
    row.expenses, row.obligations = list(payment.expenses), list(payment.obligations)
    row.save()
    row.means.all().delete()
    PaymentMeans.objects.bulk_create(_means(row, place, means) for place, means in enumerate(payment.means))


def _means(payment: Payment, place: int, means: told.Means) -> PaymentMeans:
    # A NemKonto is found by the person's number, so there it may stand in any of these.
    personal = "NEMKONTO" in means.code + means.channel
    facts = asdict(means)
    numbers = {name: number for name, number in facts.items() if number and masks.of_field(name)}
    hints = {name: masks.ACCOUNT if personal else masks.of_account(number) for name, number in numbers.items()}
    return PaymentMeans(payment=payment, place=place, hints=hints, **facts)
