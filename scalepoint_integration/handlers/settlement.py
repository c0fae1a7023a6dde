"""``case_settled``: who pays what to whom. A statement is a snapshot of one settlement; a newer one replaces it."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from crm.encryption import last4
from scalepoint_integration import settlements
from scalepoint_integration.handlers.common import lock_case
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

HIDDEN = "••••"
HIDDEN_CPR = "••••••-••••"
_SECRETS = ("payment_number", "instruction_id", "credit_account", "account")
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
    return SettlementParty(settlement=settlement, hint=hint_of_identity(party.identity), **facts, **address)


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
    hints = {name: HIDDEN if personal else hint_of_account(getattr(means, name)) for name in _SECRETS}
    hints = {name: hint for name, hint in hints.items() if getattr(means, name)}
    return PaymentMeans(payment=payment, place=place, hints=hints, **asdict(means))


def hint_of_identity(number: str) -> str:
    """What may be shown of a CPR or CVR number: a CVR number is public, of a CPR number nothing is."""
    bare = re.sub(r"[\s-]", "", number).upper()
    if re.fullmatch(r"(DK)?[0-9]{8}", bare):
        return bare
    # Nine digits: a number, not a text, so that the first zero was lost.
    return HIDDEN_CPR if re.fullmatch(r"[0-9]{9,10}", bare) else HIDDEN if number else ""


def hint_of_account(number: str) -> str:
    return f"{HIDDEN}{last4(number)}" if number else ""
