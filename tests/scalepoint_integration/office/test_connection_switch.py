from django.contrib.auth import get_user_model

from scalepoint_integration.models import Connection
from scalepoint_integration.office.connections import turn_switch
from tests.support.world import World


def test_the_history_says_who_turned_it_and_twice_is_once(world: World) -> None:
    ole = get_user_model().objects.create_user("ole", is_staff=True)
    before = world.connection.history.count()
    assert turn_switch(world.connection, ole, Connection.Switch.PAUSED)
    assert not turn_switch(world.connection, ole, Connection.Switch.PAUSED)
    row = Connection.objects.get(pk=world.connection.pk)
    assert row.switch == Connection.Switch.PAUSED
    assert row.history.count() == before + 1
    assert row.history.order_by("-history_id").first().history_user == ole


def test_nothing_else_of_the_row_is_written(world: World) -> None:
    """A page may hold an old row."""
    old = Connection.objects.get(pk=world.connection.pk)
    Connection.objects.filter(pk=old.pk).update(switch=Connection.Switch.PAUSED, tenant="newer")
    assert turn_switch(old, None, Connection.Switch.ON)
    row = Connection.objects.get(pk=old.pk)
    assert (row.switch, row.tenant) == (Connection.Switch.ON, "newer")
