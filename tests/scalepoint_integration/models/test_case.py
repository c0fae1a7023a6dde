from datetime import UTC, date, datetime

import pytest

from scalepoint_integration.models import Case, registers
from scalepoint_integration.payloads.assignment import Address, CaseFacts
from tasks.models import Task


@pytest.mark.parametrize("model", [Case, Task])
def test_each_status_is_open_or_ended(model: type[Case] | type[Task]) -> None:
    assert sorted([*model.OPEN, *model.ENDED]) == sorted(model.Status.values)
    assert [model(status=each).is_open for each in (*model.OPEN, *model.ENDED)] == [
        *(True for _each in model.OPEN),
        *(False for _each in model.ENDED),
    ]


def test_what_is_known_of_a_case_are_its_facts() -> None:
    facts = CaseFacts(
        number="20310506-07", accident_date=date(2031, 5, 6), damage_address=Address(city="Odense"), damage_cause="Vand"
    )
    case = Case(facts=registers.merge({}, facts, datetime(2031, 5, 7, tzinfo=UTC)))
    assert case.known == facts
    assert (case.known.place.line, case.known.damage, Case().known) == ("Odense", "Vand", CaseFacts())
