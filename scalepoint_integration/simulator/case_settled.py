"""``case_settled``: who owes whom what, and how it is paid. Its parts point at each other with $id and $ref."""

from scalepoint_integration.simulator.happenings import Event, Tale

# How money goes: the means, its channel.
MEANS = (
    ("DOMESTIC_BANK_TRANSFER", "DK:BANK"),
    ("INTERNATIONAL_BANK_TRANSFER", "IBAN"),
    ("FIK_PAYMENT", "DK:FIK"),
    ("NEMKONTO_BANK_TRANSFER", "DK:NEMKONTO"),
)


def case_settled(tale: Tale) -> Event:
    """One invoice of the craftsman, paid by the insurer, less the deductible."""
    total = tale.chance.randrange(5_000, 90_000) + 0.5
    vat = round(total / 5, 2)
    deductible = float(tale.chance.choice((0, 1500, 3210)))
    code, channel = MEANS[tale.index % len(MEANS)]
    address = {
        "street": "Eksempelvej 1",
        "street2": "",
        "city": "Eksempelby",
        "postalCode": "0101",
        "countryCode": "DK",
    }
    parties = [
        {
            "$id": f"/parties/{place}",
            "id": "00000000",
            "name": name,
            "roles": [role],
            "address": address,
            "contact": {"name": name, "telephone": "01000000", "email": f"{role.lower()}@post.example"},
        }
        for place, (name, role) in enumerate(
            (
                ("Eksempel Tømrer ApS", "serviceProvider"),
                ("Eksempel Forsikring", "payer"),
                (tale.person(), "policyHolder"),
            )
        )
    ]
    parties[1]["roles"] = []
    due, ways = tale.day(0), {"payerParty": {"$ref": "/parties/1"}, "payeeParty": {"$ref": "/parties/0"}}
    expense = {
        "$id": "/expenses/0",
        "uuid": tale.new_uuid(),
        "id": f"FAKTURA-{tale.index + 1}",
        "dueDate": due,
        "issueDate": "2031-06-20T00:00:00Z",
        "total": total,
        "subtotal": round(total - vat, 2),
        "vat": vat,
        "currencyCode": "DKK",
        **ways,
        "expenseType": "invoice",
        "administrative": False,
    }
    obligations: list[Event] = [
        {"$id": "/obligations/0", "obligationType": "compensation", "amount": total - deductible}
    ]
    if deductible:
        obligations.append({"$id": "/obligations/1", "obligationType": "deductible", "amount": deductible})
        obligations[1] |= {"payerParty": {"$ref": "/parties/2"}, "payeeParty": {"$ref": "/parties/0"}}
    obligations[0] |= ways
    for obligation in obligations:
        obligation |= {"currencyCode": "DKK", "expense": {"$ref": "/expenses/0"}}
    account = {"id": "0", "fiBranch": {"id": "0"}, "paymentNote": "", "paymentDescription": ""}
    means = {"payeeFinancialAccount": account, "paymentMeansCode": code, "paymentChannelCode": channel}
    payment = {
        "uuid": tale.new_uuid(),
        "dueDate": due,
        "total": total - deductible,
        "currencyCode": "DKK",
        **ways,
        "expenses": [{"$ref": "/expenses/0"}],
        "obligations": [{"$ref": "/obligations/0"}],
        "paymentMeans": means,
    }
    approved = {"email": "eksempel@post.example", "name": "handler", "type": tale.chance.choice(("user", "system"))}
    summary = {"deductible": deductible, "shareOfVat": 0.0, "depreciation": 0.0, "manualReduction": 0.0}
    return {
        "eventType": "case_settled",
        "case": tale.case(),
        "settlement": {"approvedBy": approved, "summary": summary, "revisionToken": tale.new_uuid()},
        "parties": parties,
        "expenses": [expense],
        "payments": [payment],
        "obligations": obligations,
    }
