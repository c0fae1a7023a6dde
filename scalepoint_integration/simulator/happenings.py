"""The events that can come after an assignment: what each has beside the header, as the public documents show it.

Each function takes a Tale and returns the fields of one event. Names of properties that the documents lost
(AccidentDate, AdditionalClaimFields) are guesses, and a reader must not depend on them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

Event = dict[str, Any]
REASONS = (
    "None",
    "NotCovered",
    "BelowDeductible",
    "CreatedByMistake",
    "Other",
    "PhoneInspection",
    "NotCoveredAfterInspection",
    "PaidInOwnSystem",
    "Inactivity",
    "CustomReason",
)
CHANNELS = ("Sms", "Email", "ClaimPage", "MessageTab")
ADDED = (
    "attachmentAddedToClaimLevel",
    "attachmentAddedToClaimLineLevel",
    "attachmentAddedFromClaimLineLevelToClaimLineLevel",
    "attachmentAddedFromClaimLevelToClaimLineLevel",
    "attachmentImportedFromSelfService",
    "attachmentImportedFromFNOL",
)
REMOVED = ("attachmentDeletedFromClaimLevel", "attachmentUnlinkedFromClaimLineLevel")


@dataclass(slots=True)
class Tale:
    """What the events of one story share. ``step`` counts them; ``assignment`` is the event the story begins with."""

    chance: Random
    index: int
    assignment: Event
    images_url: str
    step: int = 0

    @property
    def uuid(self) -> str:
        return str(self.assignment["case"]["id"])

    @property
    def number(self) -> str:
        return str(self.assignment["case"]["number"])

    def new_uuid(self) -> str:
        return str(UUID(int=self.chance.getrandbits(128), version=4))

    def case(self, kind: str = "PropertyClaim") -> Event:
        return {"uuid": self.uuid, "number": self.number, "token": f"b.{self.uuid}", "caseType": kind}

    def person(self) -> str:
        return str(self.assignment["policyHolder"].get("name", "Anna Eksempelsen"))

    def day(self, add: int) -> str:
        return f"2031-07-{1 + (self.index + add) % 28:02d}T00:00:00Z"


def case_created(tale: Tale) -> Event:
    """Every third one without a number: the insurer is asked for it."""
    case = {
        "token": f"b.{tale.uuid}",
        "accidentDate": "2031-06-01T00:00:00Z",
        "firstNotificationDate": "2031-06-02T09:15:20.7654321+02:00",
        "company": tale.assignment["case"]["policy"]["insuranceCompany"]["subcompanyName"],
    }
    case |= {"sourceSystem": "eksempel"} if tale.index % 3 == 2 else {"number": tale.number}
    return {"eventType": "case_created", "case": case, "policy": {"number": f"EX{tale.index:07d}"}}


def repair_updated(tale: Tale) -> Event:
    case = {name: value for name, value in tale.assignment["case"].items() if name != "externalId"}
    partner = {
        "id": tale.new_uuid(),
        "displayName": "Eksempel Tømrer ApS",
        "companyTaxId": "00000000",
        "phoneNumber": "+4501000000",
        "faxNumber": "",
        "responsibleUser": "Bo Eksempelsen",
    }
    service = {**tale.assignment["service"], "endDate": "2031-07-20T10:00:00.0000000Z"}
    return {"eventType": "repair_updated", "case": case, "service": service, "servicePartner": partner}


def message(tale: Tale) -> Event:
    """As the table of the documents has it."""
    sender = {
        "name": tale.person(),
        "email": f"eksempelsen.{tale.index + 1}@post.example",
        "phone": "+4501000001",
        "type": "Participant",
        "role": tale.chance.choice(("PolicyHolder", "ServiceProvider")),
    }
    text = tale.chance.choice(("Hvornår kommer I?", "Der drypper stadig vand. Ring gerne.", "Tak for besøget. Åse"))
    attachments = [{"fileName": "foto.jpg", "fileType": "image/jpeg", "uploadedBy": sender["name"]}]
    return {
        "eventType": "message_received",
        "case": tale.case(),
        "message": {
            "id": tale.new_uuid(),
            "timestamp": "2031-06-14T11:30:00Z",
            "channel": tale.chance.choice(("email", "SMS", "myClaim")),
            "sender": sender,
            "content": text,
            "attachments": attachments if tale.chance.random() < 0.5 else [],
        },
    }


def message_of_schema(tale: Tale) -> Event:
    """As the schema below that table has it: other names, no content."""
    sender = {"name": tale.person(), "email": "", "roles": "PolicyHolder", "isClaimParticipant": True}
    data = {
        "subject": "Spørgsmål til skaden",
        "receivedOn": "2031-06-14T11:45:00Z",
        "channelType": CHANNELS[tale.index % len(CHANNELS)],
        "addMessageAction": tale.chance.choice(("Message", "Attachment")),
    }
    received = {"senderData": sender, "messageData": data}
    return {"eventType": "message_received", "case": tale.case(), "messageReceivedData": received}


def attachments_updated(tale: Tale, added: Event | None = None) -> Event:
    """One file added, or the one of ``added`` removed again."""
    if added:
        action = REMOVED[tale.index % len(REMOVED)]
        changes = [{**change, "property": action} for change in added["changes"]]
    else:
        name = f"bilag-{tale.uuid[:8]}-{tale.step}.jpg"
        action = ADDED[(tale.index + tale.step) % len(ADDED)]
        link = f"{tale.images_url}/{name}"
        file = {"attachmentLink": link, "fileType": "image/jpeg", "fileName": name}
        changes = [{"property": action, "attachmentGUID": tale.new_uuid(), **file}]
    case = tale.case("contentClaim")
    return {"eventType": "attachments_updated", "eventId": str(tale.step + 1), "case": case, "changes": changes}


def reserve_updated(tale: Tale) -> Event:
    reserve, planned = 2000 + tale.index, float(tale.chance.randrange(1000, 90_000))
    values = {
        "planned": planned,
        "actual": 0.0,
        "isdefault": True,
        "title": "Oprindelig reserve",
        "id": reserve,
        "type.id": 1900,
        "type.name": "Alm. erstatning",
        "type.code": "RE-001",
        "type.flow": 0,
    }
    changes: list[Event] = [{"property": name, "newValue": value} for name, value in values.items()]
    changes[1]["oldValue"] = None
    case = {name: value for name, value in tale.case().items() if name != "caseType"}
    changed = {str(reserve): changes}
    return {
        "eventType": "reserve_updated",
        "payloadVersion": "1.1.0",
        "case": case,
        "changedBy": {},
        "changesInReserves": changed,
    }


def task_created(tale: Tale) -> Event:
    """Its example spells the type otherwise than its heading."""
    rule = {
        "name": "Stort beløb",
        "publicMessage": "Skaden skal gennemgås.",
        "internalMessage": json.dumps({"limit": 50_000}),
        "messageFormat": "JSON",
        "messageType": "Info",
    }
    payload = {
        "evaluationResult": "Failed",
        "newAssigneeType": "User",
        "newAssigneeId": "eksempel",
        "isSelectedForTraining": False,
        "triggeredRules": [rule],
    }
    case = tale.case("contentClaim")
    return {"eventType": "taskCreated", "case": case, "success": True, "statusCode": 200, "payload": payload}


def selfservice_received(tale: Tale) -> Event:
    return {
        "eventType": "selfservice_received",
        "case": tale.case("contentClaim"),
        "selfServiceType": tale.chance.choice(("SelfService", "FNOL")),
        "itemizationCaseReference": tale.new_uuid(),
        "isAutoImported": True,
        "isAutoSettled": False,
        "assignedTo": {"fullName": "Åse Eksempelsen", "username": "aase", "userType": "ClaimHandler"},
    }


def claimline_changed(tale: Tale) -> Event:
    return {"eventType": "claimline_changed", "eventId": str(tale.step + 1), "case": tale.case("contentClaim")}


def order_created(tale: Tale) -> Event:
    return {"eventType": "order_created", "case": tale.case("contentClaim"), "orderToken": tale.new_uuid()}


def claim_updated(tale: Tale, change: Event) -> Event:
    by = {"fullName": "Built-in Administrator", "username": "admin", "userType": "Scalepoint"}
    nobody = {"fullName": None, "username": None, "userType": None}
    changed_by = tale.chance.choice((by, nobody, {}))
    return {"eventType": "claim_updated", "case": tale.case(), "changedBy": changed_by, "changes": [change]}


def case_closed(tale: Tale) -> Event:
    """Each of the ten reasons in ten stories; "None" is the normal way, which ends nothing early."""
    reason = REASONS[tale.index % len(REASONS)]
    change: Event = {"property": "CaseClosed", "isTerminated": reason != "None", "terminationReason": reason}
    change["terminationReasonDescription"] = "Aftalt med kunden." if reason in ("Other", "CustomReason") else ""
    return claim_updated(tale, change)


# In the order they come in a story, between the assignment and the end of the case.
MIDDLE: tuple[Callable[[Tale], Event], ...] = (
    repair_updated,
    message,
    message_of_schema,
    reserve_updated,
    task_created,
    selfservice_received,
    claimline_changed,
    order_created,
)
