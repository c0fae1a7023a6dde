"""JSON, read strictly: the standard says it or it is refused, so that two readers can never see two things.

The library parsers each leave a hole (duplicate keys, NaN, depth, lone surrogates), so the standard one is used with
its hooks. At two kilobytes an event the faster ones make no difference that could be measured.
"""

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

MAX_DEPTH = 100
_ESCAPED_ODDITY = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_ODD = re.compile("[\x00\ud800-\udfff]")
_encoder = msgspec.json.Encoder(order="deterministic", decimal_format="number")


class BadJson(Exception):
    """Not JSON as we read it. The text never repeats what was sent."""


def parse(content: bytes) -> Any:
    """One JSON document in UTF-8 (a byte order mark is allowed). Numbers with a fraction become Decimal, so that
    amounts stay exact. NUL and lone surrogates inside texts become U+FFFD: they never cost a case, and PostgreSQL
    could not store them. Raises BadJson."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadJson("not UTF-8") from None
    if not text.strip(" \t\r\n"):
        raise BadJson("empty")
    try:
        document = json.loads(
            text, object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_constant
        )
    except BadJson:
        raise
    except RecursionError:
        raise BadJson("nested too deeply") from None
    except ValueError:
        raise BadJson("not JSON") from None
    # Only a text with more brackets than the limit can be too deep; counting them is far cheaper than walking.
    if content.count(b"{") + content.count(b"[") > MAX_DEPTH:
        _check_depth(document)
    if _ESCAPED_ODDITY.search(content):
        document = _clean(document)
    return document


def canonical(document: Any) -> bytes:
    """The same bytes for the same content, whatever the order of keys and the white space it came in."""
    return _encoder.encode(document)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("the same key twice")
    return found


def _decimal(text: str) -> Decimal:
    # Beyond a double other readers would see infinity or zero; beyond this length it is no number of anybody's.
    if len(text) > 1000 or abs(float(text)) == float("inf"):
        raise BadJson("a number that overflows")
    return Decimal(text)


def _integer(text: str) -> int:
    if len(text) > 1000:
        raise BadJson("a number that overflows")
    return int(text)


def _constant(name: str) -> Any:
    raise BadJson("NaN or Infinity")


def _check_depth(document: Any) -> None:
    level, here = 0, [document]
    while here:
        level += 1
        if level > MAX_DEPTH + 1:
            raise BadJson("nested too deeply")
        deeper: list[Any] = []
        for value in here:
            if isinstance(value, dict):
                deeper.extend(value.values())
            elif isinstance(value, list):
                deeper.extend(value)
        here = deeper


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _ODD.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return _object([(_clean(key), _clean(item)) for key, item in value.items()])
    return value
