"""The access tokens that our token address gives out: signed, not stored.

    sp1.<security token's row, or 0>.<time>.<signature>

The salt of the signature holds the contract and the digest of the secret that the token was issued for. So a token is
worth nothing at another contract, and ends with its secret: changed, deleted or expired, no list has to be searched.
"""

import re

from django.core.signing import BadSignature, SignatureExpired, TimestampSigner

from scalepoint_integration.conf import conf

_SHAPE = re.compile(r"sp1\.([0-9]{1,18})\.[A-Za-z0-9]{1,12}\.[A-Za-z0-9_-]{20,100}")


class Ended(Exception):
    """It was ours, and its time is over."""


def issue(connection_id: int, token_id: int | None, digest: str) -> str:
    return "sp1." + _signer(connection_id, digest).sign(str(token_id or 0))


def issued_for(value: str) -> int | None:
    """The row it says it was issued for (0: the connection's own secret). None for what does not look like one of
    ours. Says nothing about whether it is."""
    shape = _SHAPE.fullmatch(value)
    return int(shape[1]) if shape else None


def is_ours(value: str, connection_id: int, digest: str) -> bool:
    """Whether it was issued for that secret of that contract. Raises Ended."""
    try:
        _signer(connection_id, digest).unsign(value.removeprefix("sp1."), max_age=conf().issued_token_seconds)
    except SignatureExpired:
        raise Ended from None
    except BadSignature:
        return False
    return True


def _signer(connection_id: int, digest: str) -> TimestampSigner:
    return TimestampSigner(sep=".", salt=f"scalepoint.issued:{connection_id}:{digest}")
