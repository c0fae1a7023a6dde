"""What is computed from the facts of a case."""

import pytest

from scalepoint_integration.payloads.assignment import Address, CaseFacts

HOME, SITE = Address(street="Byvej 4", postal_code="5000", city="Odense"), Address(city="Nyborg", country="DK")


@pytest.mark.parametrize(
    ("address", "line"),
    [
        (HOME, "Byvej 4, 5000 Odense"),
        (SITE, "Nyborg"),
        (Address(street="Byvej 4"), "Byvej 4"),
        (Address(postal_code="5000"), "5000"),
        (Address(country="DK"), ""),
    ],
)
def test_an_address_in_one_line(address: Address, line: str) -> None:
    assert address.line == line


def test_the_place_is_where_the_damage_is_or_else_the_home() -> None:
    assert CaseFacts(damage_address=SITE, holder_address=HOME).place == SITE
    assert CaseFacts(damage_address=Address(country="DK"), holder_address=HOME).place == HOME
    assert not CaseFacts().place


def test_the_damage_is_told_by_the_closest_word() -> None:
    words = {"damage_type": "Vand", "damage_category": "Bygning", "damage_cause": "Rør"}
    assert CaseFacts(**words).damage == "Vand"
    assert CaseFacts(**words | {"damage_type": ""}).damage == "Bygning"
    assert (CaseFacts(damage_cause="Rør").damage, CaseFacts().damage) == ("Rør", "")
