"""The state of a connection, from missing to ready."""

from datetime import timedelta

from crm.models import SecurityToken
from scalepoint_integration.models import Heartbeat, ScalepointMail
from scalepoint_integration.office.connections import State, connection_state
from tests.scalepoint_integration.office.test_figures import NOW, ago, make_event
from tests.support.world import World


def alive() -> None:
    Heartbeat.objects.update_or_create(name="sweep", defaults={"at": NOW})


def test_what_a_person_chose_is_the_state(world: World) -> None:
    for switch, state in (("off", State.OFF), ("paused", State.PAUSED)):
        world.connection.switch = switch
        assert connection_state(world.connection, NOW) == state


def test_the_state_goes_from_missing_to_ready(world: World) -> None:
    connection = world.connection
    assert connection_state(connection, NOW) == State.ERROR  # no background job
    alive()
    assert connection_state(connection, NOW) == State.WAITING
    make_event(world, source="test")
    assert connection_state(connection, NOW) == State.WAITING
    make_event(world)
    assert connection_state(connection, NOW) == State.READY
    assert connection_state(connection, NOW + timedelta(minutes=3)) == State.ERROR
    connection.secret = connection.secret_digest = ""
    SecurityToken.objects.update(valid_from=ago(days=1))
    assert connection_state(connection, NOW) == State.READY  # the companies have tokens
    SecurityToken.objects.update(expires_at=ago(hours=1))
    assert connection_state(connection, NOW) == State.MISSING
    ScalepointMail.objects.create(connection=connection, how="outside", subject="Åbn", body="Hej")
    assert connection_state(connection, NOW) == State.WAITING


def test_a_token_of_a_company_that_is_switched_off_opens_nothing(world: World) -> None:
    alive()
    world.connection.secret_digest = ""
    SecurityToken.objects.update(valid_from=ago(days=1))
    for company in (world.nord, world.syd):
        company.active = False
        company.save()
    assert connection_state(world.connection, NOW) == State.MISSING


def test_fetching_that_fails_is_an_error(world: World) -> None:
    alive()
    make_event(world)
    world.connection.poll, world.connection.poller_state.problem = True, "SP-402"
    assert connection_state(world.connection, NOW) == State.ERROR
    world.connection.poll = False
    assert connection_state(world.connection, NOW) == State.READY
