from typing import Any

import pytest
from django.db import IntegrityError
from django.db.models.signals import pre_save

from scalepoint_integration.models import Connection, PollerState

pytestmark = pytest.mark.django_db


def test_what_belongs_to_a_connection_is_created_with_it_once() -> None:
    connection = Connection.objects.create(contract_number="1")
    connection.save()
    state = PollerState.objects.get()
    assert (state.connection, state.cursor, state.leased_until) == (connection, "", None)
    connection.delete()
    assert not PollerState.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_is_not_created_without_what_belongs_to_it() -> None:
    def refuse(**_signal: Any) -> None:
        raise IntegrityError

    pre_save.connect(refuse, sender=PollerState)
    try:
        with pytest.raises(IntegrityError):
            Connection.objects.create(contract_number="1")
    finally:
        pre_save.disconnect(refuse, sender=PollerState)
    assert not Connection.objects.exists()
