"""The ``case`` block of the events that are not assignments.

Documented: uuid, number, externalClaimId (once written externalclaimId), token, caseType, company, accidentDate,
firstNotificationDate, and ``policy.number`` beside the block. Inferred: ``id`` and ``externalId`` as the assignment
writes them, and the policy inside the block.
"""

from dataclasses import dataclass, field
from typing import Any

from scalepoint_integration.payloads.assignment import CaseFacts
from scalepoint_integration.payloads.reading import Node


@dataclass(frozen=True, slots=True)
class CaseBlock:
    """The names are in lower case: they are compared without regard to case."""

    case_id: str = ""
    token: str = ""
    facts: CaseFacts = field(default_factory=CaseFacts)


def parse(event: Any) -> CaseBlock:
    """Never raises: what is missing or odd is empty."""
    top = Node(event)
    case = top.node("case")
    policy = case.node("policy") or top.node("policy")
    return CaseBlock(
        case_id=case.text("id", "uuid").lower()[:100],
        token=case.text("token").lower()[:100],
        facts=CaseFacts(
            number=case.text("number")[:100],
            external_id=case.text("externalClaimId", "externalId"),
            case_type=case.text("caseType"),
            company=case.text("company"),
            source_system=case.text("sourceSystem"),
            policy_number=policy.text("number") or case.text("policyNumber"),
            accident_date=case.day("accidentDate"),
            first_notification_date=case.day("firstNotificationDate"),
        ),
    )
