"""Where Scalepoint is: by the environment of a connection, unless the connection says otherwise."""

from dataclasses import dataclass

from scalepoint_integration.client.web import check_address
from scalepoint_integration.models import Connection


@dataclass(frozen=True, slots=True)
class Addresses:
    """``token`` is also what an assertion is made out to (its claim aud)."""

    token: str
    api: str
    ecx: str


KNOWN = {
    Connection.Environment.PRODUCTION: Addresses(
        "https://accounts.scalepoint.com/connect/token",
        "https://www.scalepoint.com",
        "https://entry.scalepoint.com",
    ),
    # Test servers differ from partner to partner; this is the one that the manuals name.
    Connection.Environment.SANDBOX: Addresses(
        "https://sandbox-accounts.scalepoint.com/connect/token",
        "https://sandbox.scalepoint.com",
        "https://sandbox.scalepoint.com",
    ),
}


def addresses_of(connection: Connection) -> Addresses:
    """Raises PermanentError SP-409 where one of them may not be called."""
    known = KNOWN[Connection.Environment(connection.environment)]
    found = Addresses(
        connection.token_url or known.token,
        (connection.api_url or known.api).rstrip("/"),
        (connection.ecx_url or known.ecx).rstrip("/"),
    )
    for url in (found.token, found.api, found.ecx):
        check_address(url)
    return found
