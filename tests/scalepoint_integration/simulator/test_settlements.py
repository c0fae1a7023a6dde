"""Settlements: of the documented shape, the same for the same token, and for those alone who may read them."""

from datetime import datetime
from random import Random
from uuid import UUID

from scalepoint_integration.simulator import settlements
from scalepoint_integration.simulator.settlements import ACCEPT, make_settlement
from tests.scalepoint_integration.simulator.conftest import bearer, call

TOKEN = "3b0c1f5e-5d0f-4a7e-9f10-2a5a0c7f0010"
DETAILS = {
    "revisionToken", "status", "approvedBy", "timestamp", "settlementType", "repairAmount", "subTotalAmount",
    "policyDeductible", "appliedDeductible", "depreciation", "overallManualReduction", "appliedManualReduction",
    "replacementAmount", "cashCompensation", "invoiceAmount", "items", "groups",
}  # fmt: skip
ITEM = {
    "category", "subCategory", "subCategoryToken", "description", "itemId", "depreciationPercentage",
    "depreciationAmount", "quantity", "replacementAmount", "ageMonths", "basePrice", "status",
}  # fmt: skip


def url(server, token=TOKEN) -> str:
    return f"{server.url}/webapp/ScalePoint/dk/case/firm/revision/{token}"


def test_who_may_read_it_and_how(simulator):
    proof = bearer(simulator, "platform-case:read")
    answer = call(url(simulator), Accept=ACCEPT, Authorization=proof)
    assert (answer.status, answer.json) == (200, make_settlement(TOKEN))
    assert answer.json["settlementDetails"]["revisionToken"] == TOKEN
    for accept in ("application/json", "*/*", ACCEPT.replace("v3", "v2"), f"{ACCEPT}, */*"):
        assert call(url(simulator), Accept=accept, Authorization=proof).status == 406
    assert call(url(simulator), Authorization=proof).status == 406
    assert call(url(simulator, "unknown"), Accept=ACCEPT, Authorization=proof).status == 404
    assert call(url(simulator), Accept=ACCEPT, Authorization=bearer(simulator)).status == 403
    assert call(url(simulator), Accept=ACCEPT).status == 401
    simulator.scalepoint.set_settlement(TOKEN.upper(), 410)
    assert call(url(simulator), Accept=ACCEPT, Authorization=proof).status == 410
    simulator.scalepoint.set_settlement(TOKEN, {"case": {}})
    assert call(url(simulator), Accept=ACCEPT, Authorization=proof).json == {"case": {}}
    simulator.scalepoint.fail("settlement", 503)
    assert call(url(simulator), Accept=ACCEPT, Authorization=proof).headers["Retry-After"] == "1"


def test_it_is_of_the_case_that_the_event_named(simulator):
    proof = bearer(simulator, "platform-case:read")
    case = {"token": "b.1", "number": "EX-1", "uuid": "1"}
    simulator.scalepoint.queue_events(
        [{"eventType": "case_settled", "case": case, "settlement": {"revisionToken": "Rev-1"}}]
    )
    answer = call(url(simulator, "REV-1"), Accept=ACCEPT, Authorization=proof)
    said = answer.json["case"]
    assert (said["token"], said["number"]) == ("b.1", "EX-1")
    other = make_settlement("REV-1")
    assert answer.json["settlementDetails"] == other["settlementDetails"]
    assert set(said) == set(other["case"])
    simulator.scalepoint.know({"case": {"token": "b.2"}, "settlement": {"revisionToken": TOKEN}})
    assert set(call(url(simulator), Accept=ACCEPT, Authorization=proof).json["case"]) == {"token", "policyNumber"}


def test_over_many_tokens_everything_comes():
    chance = Random("settlements")
    made = [make_settlement(str(UUID(int=chance.getrandbits(128), version=4))) for _ in range(200)]
    details = [each["settlementDetails"] for each in made]
    items = [item for each in details for item in each["items"]]
    groups = [group for each in details for group in each["groups"]]
    assert {each["status"] for each in details} == set(settlements.STATUSES)
    assert {each["settlementType"] for each in details} == set(settlements.TYPES)
    assert {item["status"] for item in items} == set(settlements.ITEM_STATUSES)
    assert {group["type"] for group in groups} == set(settlements.GROUP_TYPES)
    for name in ("product", "voucher", "group"):
        assert 0 < sum(name in item for item in items) < len(items)
    for each in details:
        assert set(each) == DETAILS
        assert datetime.fromisoformat(each["timestamp"]).tzinfo
        assert each["appliedDeductible"] <= each["policyDeductible"]
        assert each["subTotalAmount"] == round(sum(item["replacementAmount"] for item in each["items"]), 2)
        reductions = each["appliedDeductible"] + each["appliedManualReduction"]
        assert each["replacementAmount"] == round(each["subTotalAmount"] - reductions, 2) >= 0
        known = {group["internalId"] for group in each["groups"]}
        for item in each["items"]:
            assert ITEM <= set(item) <= ITEM | {"product", "voucher", "group"}
            assert "group" not in item or item["group"]["internalId"] in known
