"""The assignment: ``repair_service_requested`` and ``repair_updated``.

Documented by Scalepoint: header, ``case`` (id, number, externalId, damageCause, damageCategory, the insurance
company), ``service``, ``servicePartner``. Our own contract, made from what the trade systems receive: the other fields.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from scalepoint_integration.payloads import strict_json
from scalepoint_integration.payloads.reading import Node


@dataclass(frozen=True, slots=True)
class Address:
    street: str = ""
    street2: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = ""

    def __bool__(self) -> bool:
        # A country alone is no address.
        return bool(self.street or self.street2 or self.postal_code or self.city)

    @property
    def line(self) -> str:
        """Street, postal code and city in one line, only what there is."""
        return ", ".join(filter(None, (self.street, f"{self.postal_code} {self.city}".strip())))


@dataclass(frozen=True, slots=True)
class Party:
    """A person or company on the case."""

    role: str = ""
    name: str = ""
    phone: str = ""
    mobile: str = ""
    email: str = ""
    address: Address = field(default_factory=Address)

    @property
    def key(self) -> str:
        """The same for the same party told twice."""
        return hashlib.sha256(strict_json.canonical(asdict(self))).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What is known of a case. Every fact may be missing ("" or empty)."""

    number: str = ""
    external_id: str = ""
    case_type: str = ""
    company: str = ""
    source_system: str = ""
    url: str = ""
    damage_type: str = ""
    damage_category: str = ""
    damage_cause: str = ""
    damage_description: str = ""
    responsibility: str = ""
    accident_date: date | None = None
    first_notification_date: date | None = None
    damage_address: Address = field(default_factory=Address)
    policy_number: str = ""
    insurer_alias: str = ""
    insurer_sub_alias: str = ""
    insurer_name: str = ""
    insurer_tax_id: str = ""
    holder_name: str = ""
    holder_phone: str = ""
    holder_mobile: str = ""
    holder_email: str = ""
    holder_address: Address = field(default_factory=Address)

    @property
    def place(self) -> Address:
        """Where the damage is; where the policyholder lives if nothing else was told."""
        return self.damage_address or self.holder_address

    @property
    def damage(self) -> str:
        """The kind of damage, by the closest word that was told; "" if none was."""
        return self.damage_type or self.damage_category or self.damage_cause


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What is known of the ordered service. Times are texts as sent; nobody here computes with them."""

    reference: str = ""
    start: str = ""
    end: str = ""
    description: str = ""
    partner_name: str = ""
    partner_phone: str = ""
    partner_responsible: str = ""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image to fetch (``url``) or one that came along (``content``, base64 as sent)."""

    key: str
    url: str = ""
    content: str = ""
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    case_id: str
    token: str
    case: CaseFacts
    service_id: str
    service: ServiceFacts
    contacts: tuple[Party, ...]
    images: tuple[ImageRef, ...]


def parse(event: Any) -> Assignment:
    """The assignment in a parsed event. Never raises: what is missing or odd is empty."""
    top = Node(event)
    case, service, policy = top.node("case"), top.node("service"), top.node("case").node("policy")
    company, holder, partner = policy.node("insuranceCompany"), top.node("policyHolder"), top.node("servicePartner")
    return Assignment(
        case_id=case.text("id", "uuid").lower()[:100],
        token=case.text("token").lower()[:100],
        case=CaseFacts(
            number=case.text("number")[:100],
            external_id=case.text("externalId", "externalClaimId"),
            url=case.text("url"),
            damage_type=case.text("damageType"),
            damage_category=case.text("damageCategory"),
            damage_cause=case.text("damageCause"),
            damage_description=case.text("damageDescription"),
            responsibility=case.text("responsibility"),
            accident_date=case.day("accidentDate"),
            damage_address=_address(case.node("damageAddress")),
            policy_number=policy.text("number"),
            insurer_alias=company.text("alias"),
            insurer_sub_alias=company.text("subcompanyAlias"),
            insurer_name=company.text("name", "subcompanyName"),
            insurer_tax_id=company.text("companyTaxId"),
            holder_name=holder.text("name"),
            holder_phone=holder.text("phoneNumber"),
            holder_mobile=holder.text("mobileNumber"),
            holder_email=holder.text("email"),
            holder_address=_address(holder.node("address")),
        ),
        service_id=service.text("id").lower()[:100],
        service=ServiceFacts(
            reference=service.text("referenceNumber")[:100],
            start=service.text("startDate"),
            end=service.text("endDate"),
            description=service.text("description"),
            partner_name=partner.text("displayName"),
            partner_phone=partner.text("phoneNumber"),
            partner_responsible=partner.text("responsibleUser"),
        ),
        contacts=tuple(dict.fromkeys(party for party in map(_party, top.nodes("contacts")) if party != Party())),
        images=tuple(image for image in map(_image, top.nodes("images")) if image),
    )


def _address(node: Node) -> Address:
    return Address(
        street=node.text("street", "street1"),
        street2=node.text("street2"),
        postal_code=node.text("postalCode"),
        city=node.text("city"),
        country=node.text("countryCode", "country").upper()[:2],
    )


def _party(node: Node) -> Party:
    return Party(
        role=node.text("role"),
        name=node.text("name"),
        phone=node.text("phoneNumber"),
        mobile=node.text("mobileNumber"),
        email=node.text("email"),
        address=_address(node.node("address")),
    )


def _image(node: Node) -> ImageRef | None:
    """Keyed by Scalepoint's id, else by where or what it is: told twice it is one image."""
    url, content, given = node.text("url"), node.text("content"), node.text("id")
    if not url and not content:
        return None
    identity = f"id:{given}" if given else f"url:{url}" if url else f"content:{content}"
    return ImageRef(
        key=hashlib.sha256(identity.encode()).hexdigest(),
        url=url,
        content="" if url else content,
        file_name=node.text("fileName", "name"),
    )
