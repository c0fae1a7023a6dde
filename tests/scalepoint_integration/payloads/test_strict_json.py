import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalepoint_integration.payloads.strict_json import BadJson, canonical, parse

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=4) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
def test_canonical_json_reads_back_the_same(document: Any) -> None:
    assert parse(canonical(document)) == document


@given(st.dictionaries(TEXT, JSON, min_size=2))
def test_the_order_of_keys_and_white_space_do_not_matter(document: dict[str, Any]) -> None:
    other = dict(reversed(document.items()))
    assert canonical(document) == canonical(other)
    plain = json.dumps(other, indent=3, default=float)
    assert set(parse(plain.encode())) == set(document)


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        canonical(parse(content))
    except BadJson as error:
        assert str(error)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 200), st.integers(0, 255))
def test_a_broken_event_is_read_or_refused(noise: bytes, at: int, byte: int) -> None:
    good = b'{"eventType": "x", "case": {"number": "905\\u00e6", "total": 10.50}, "list": [1, 2, {"a": null}]}'
    for content in (good[:at] + noise + good[at:], good[:at] + bytes([byte]) + good[at + 1 :], good[:at]):
        with suppress(BadJson):
            parse(content)


def test_amounts_stay_exact() -> None:
    document = parse(b'{"total": 12345678901234567.89, "vat": 0.10}')
    assert document == {"total": Decimal("12345678901234567.89"), "vat": Decimal("0.10")}
    assert canonical(document) == b'{"total":12345678901234567.89,"vat":0.10}'


def test_the_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(BadJson) as refusal:
        parse(b'{"secret-thing": ')
    assert "secret-thing" not in str(refusal.value)


def test_odd_characters_in_keys_are_cleaned_and_can_not_make_two_of_one() -> None:
    assert parse(rb'{"a\u0000": 1}') == {"a\ufffd": 1}
    with pytest.raises(BadJson):
        parse(rb'{"a\u0000": 1, "a\ud800": 2}')


def test_a_byte_order_mark_is_no_part_of_the_content() -> None:
    assert parse(b"\xef\xbb\xbf[]") == []
