import pytest
from django.core.exceptions import ValidationError

from scalepoint_integration.models.case_name import DEFAULT_TEMPLATE, FIELDS, render, unknown_fields, validate_case_name

VALUES = {"case_number": "905709", "city": "Odense", "damage_type": "Vandskade", "policyholder": "[By]"}


def test_the_default_is_e_komplets() -> None:
    assert render(DEFAULT_TEMPLATE, VALUES, 200) == ("Scalepoint: 905709", False)


@pytest.mark.parametrize("language", [0, -1], ids=["danish", "english"])
def test_every_field_has_a_danish_and_an_english_name(language: int) -> None:
    for key, names in FIELDS.items():
        assert render(f"<[{names[language]}]> [{names[language].upper()}]", {key: "x"}, 200)[0] == "<x> x"


def test_values_are_not_read_as_templates() -> None:
    assert render("[Forsikringstager], [By]", VALUES, 200)[0] == "[By], Odense"


def test_a_missing_value_leaves_no_gap() -> None:
    assert render("[Sagsnummer] [Adresse] [By]", VALUES, 200)[0] == "905709 Odense"


def test_too_long_is_cut_and_said() -> None:
    name, cut = render("[Skadetype] " * 40, VALUES, 50)
    assert (len(name) <= 50, cut, name[-1]) == (True, True, "…")


def test_unknown_fields_are_refused_with_what_was_meant() -> None:
    assert unknown_fields("[Sagsnumer] [xyz] [By]") == {"Sagsnumer": "Sagsnummer", "xyz": ""}
    with pytest.raises(ValidationError, match=r"\[Sagsnumer\] does not exist. Did you mean \[Sagsnummer\]"):
        validate_case_name("[Sagsnumer]")
    with pytest.raises(ValidationError, match=r"\[xyz\] does not exist"):
        validate_case_name("[xyz]")
    validate_case_name("Uden felter, med [skadetype]")
