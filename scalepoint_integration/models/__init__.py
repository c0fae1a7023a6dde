"""A file per concept."""

from scalepoint_integration.models.case import Case, Service
from scalepoint_integration.models.connection import Connection
from scalepoint_integration.models.correspondence import CaseAttachment, CaseMessage, CaseNote
from scalepoint_integration.models.default_values import DefaultValues
from scalepoint_integration.models.event import EventAttempt, InboundEvent
from scalepoint_integration.models.heartbeat import Heartbeat
from scalepoint_integration.models.image import ImagePull
from scalepoint_integration.models.key import ClientKey
from scalepoint_integration.models.letter import ScalepointMail
from scalepoint_integration.models.note import OfficeNote
from scalepoint_integration.models.notification import Notice
from scalepoint_integration.models.outbound import OutboundEvent
from scalepoint_integration.models.pages import Overview, Setup, TestCase
from scalepoint_integration.models.poller_state import PollerState
from scalepoint_integration.models.refusal import Refusal
from scalepoint_integration.models.reserve import Reserve
from scalepoint_integration.models.revision import Revision, RevisionGroup, RevisionItem, SettlementPull
from scalepoint_integration.models.saved_view import SavedView
from scalepoint_integration.models.settlement import (
    Expense,
    Obligation,
    Payment,
    PaymentMeans,
    Settlement,
    SettlementParty,
)
from scalepoint_integration.models.user_settings import UserSettings

__all__ = [
    "Case",
    "CaseAttachment",
    "CaseMessage",
    "CaseNote",
    "ClientKey",
    "Connection",
    "DefaultValues",
    "EventAttempt",
    "Expense",
    "Heartbeat",
    "ImagePull",
    "InboundEvent",
    "Notice",
    "Obligation",
    "OfficeNote",
    "OutboundEvent",
    "Overview",
    "Payment",
    "PaymentMeans",
    "PollerState",
    "Refusal",
    "Reserve",
    "Revision",
    "RevisionGroup",
    "RevisionItem",
    "SavedView",
    "ScalepointMail",
    "Service",
    "Settlement",
    "SettlementParty",
    "SettlementPull",
    "Setup",
    "TestCase",
    "UserSettings",
]
