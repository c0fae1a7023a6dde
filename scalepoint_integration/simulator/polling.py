"""``GET .../receive``: long-polling. Held until there is something to say, or for ``hold`` seconds."""

import re
from urllib.parse import parse_qsl

from scalepoint_integration.simulator.api import Answer, Call, Refused


def receive(call: Call, country: str, tenant: str) -> Answer:
    call.require("events")
    call.check_tenant(tenant)
    state = call.state
    number = _cursor(call)
    found = state.events_after(number, state.behaviour.hold)
    if not found and (status := state.behaviour.poll_timeout_status) != 200:
        return Answer(status)
    last = found[-1]["id"] if found else f"_{number}"
    base = state.behaviour.next_base or state.url
    following = f"{base}/api/events/v1/{country}/external/{tenant}/receive?lastEventId={last}"
    call.told |= {"after": f"_{number}", "count": len(found)}
    return Answer(200, {"links": {"next": following}, "meta": {}, "data": found})


def _cursor(call: Call) -> int:
    """The number after which to go on."""
    state = call.state
    pairs = parse_qsl(call.query, keep_blank_values=True)
    if not pairs:
        return state.last_id if state.behaviour.first_call == "now" else state.forgotten_id
    if len(pairs) > 1 or pairs[0][0] != "lastEventId":
        raise Refused(400, "only lastEventId can be asked for, once")
    found = re.fullmatch(r"_([0-9]{1,18})", pairs[0][1])
    number = int(found[1]) if found else -1
    if state.forgotten_id <= number <= state.last_id:
        return number
    if status := state.behaviour.unknown_cursor:
        raise Refused(status, f"an unknown lastEventId: {pairs[0][1][:50]}")
    return state.forgotten_id
