"""Test cases: through the endpoint, marked, without a trace outside, and gone again without taking anything along."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from crm.models import Customer, InsuranceCompany, SecurityToken
from scalepoint_integration import queues
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent, OutboundEvent, Refusal
from scalepoint_integration.office import casework
from scalepoint_integration.sending import outbox
from scalepoint_integration.test_cases import cleanup, examples, outcome
from scalepoint_integration.test_cases.send import ADDRESS, NoToken, Sent, send
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task, TaskImage
from tests.support.world import NORD_TOKEN, World, assignment, handle, make_world

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def here() -> World:
    made = make_world(phone_as_customer_number=True)
    get_user_model().objects.update(email="mette@kontor.example")
    return made


def states(sent: Sent) -> list[str]:
    return [step.state for step in outcome.steps(sent)]


def test_an_ordinary_test_case_is_a_task_with_its_images_at_once(here: World) -> None:
    sent = send(here.connection, here.nord, "water")
    assert sent.answers == ((202, ""),)
    case, event = Case.objects.get(), InboundEvent.objects.get()
    assert (case.number, case.is_test, case.insurer, case.status) == ("TEST-0001", True, here.nord, "in_progress")
    assert (event.source, event.status) == ("test", "done")
    assert Task.objects.get().images.count() == 8
    assert set(states(sent)) == {"good"}
    assert any("Mette" in step.text or "mette" in step.text for step in outcome.steps(sent))
    assert send(here.connection, here.nord, "fire").case_number == "TEST-0002"


def test_a_test_is_made_while_the_connection_is_on_hold_and_a_real_case_is_not(here: World) -> None:
    Connection.objects.update(switch="paused")
    here.connection.refresh_from_db()
    handle(here, assignment())
    assert Task.objects.count() == 0
    sent = send(here.connection, here.nord, "fire")
    assert set(states(sent)) == {"good"}
    assert Case.objects.get().number == sent.case_number


def test_a_switched_off_connection_refuses_a_test_too(here: World) -> None:
    Connection.objects.update(switch="off")
    sent = send(here.connection, here.nord, "fire")
    assert [code for _status, code in sent.answers] == ["SP-103"]
    assert states(sent) == ["bad"]
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize(
    ("example", "code", "tasks"),
    [("no_phone", "SP-204", 0), ("twins", "SP-203", 0), ("unknown_token", "SP-101", 0), ("broken_image", "SP-302", 1)],
)
def test_an_example_that_is_meant_to_fail_does(here: World, example: str, code: str, tasks: int) -> None:
    sent = send(here.connection, here.nord, example)
    problems = [step.problem.code for step in outcome.steps(sent) if step.problem]
    assert problems == [code]
    assert Task.objects.count() == tasks
    assert examples.EXAMPLES[example].fails
    # Ours, and not a stranger's.
    assert {refusal.remote_address for refusal in Refusal.objects.all()} <= {ADDRESS}


def test_sent_twice_is_one_task(here: World) -> None:
    sent = send(here.connection, here.nord, "twice")
    assert len(sent.answers) == 2
    assert len(sent.event_ids) == 1
    assert Task.objects.count() == 1


def test_a_closed_example_closes_its_task(here: World) -> None:
    send(here.connection, here.nord, "closed")
    assert Case.objects.get().status == "cancelled"
    assert Task.objects.get().status == "cancelled"


def test_nothing_leaves_the_house_for_a_test(here: World) -> None:
    Connection.objects.update(send_case_number=True, send_messages=True)
    send(here.connection, here.nord, "fire")
    case = Case.objects.get()
    assert outbox.send_message(case, "x", "y") is None
    assert outbox.send_case_number(case) is None
    assert not OutboundEvent.objects.exists()


def test_no_header_makes_a_delivery_a_test(here: World, client: Client) -> None:
    marks = {"HTTP_SCALEPOINT_TEST": "1", "HTTP_SCALEPOINT.TEST": "1"}
    response = client.post(
        f"/api/scalepoint/v1/{here.connection}/",
        assignment(),
        content_type="application/json",
        headers={"Authorization": f"Bearer {NORD_TOKEN}", "Scalepoint.Test": "1", "scalepoint-test": "1"},
        **marks,
    )
    assert response.status_code == 202
    assert InboundEvent.objects.get().source == "push"


def test_a_real_event_makes_a_test_case_real(here: World) -> None:
    sent = send(here.connection, here.nord, "fire")
    case = Case.objects.get(number=sent.case_number)
    handle(here, assignment(case={"id": case.case_id, "number": case.number, "token": None}))
    case.refresh_from_db()
    assert not case.is_test
    assert cleanup.remove(cleanup.tests()) == 0
    assert Case.objects.filter(pk=case.pk).exists()


def test_all_test_cases_are_deleted_and_nothing_else(here: World) -> None:
    handle(here, assignment())
    real = (Task.objects.get().pk, Customer.objects.get().pk, InboundEvent.objects.get().pk)
    for example in examples.EXAMPLES:
        send(here.connection, here.nord, example)
    assert cleanup.tests().count() == 7
    stored = [image.file for image in TaskImage.objects.exclude(task=real[0])]
    assert len(stored) == 8 + 2 + 1 + 1
    assert cleanup.remove(cleanup.tests()) == 7
    assert (Task.objects.get().pk, Customer.objects.get().pk, InboundEvent.objects.get().pk) == real
    assert not [file for file in stored if file.storage.exists(file.name)]
    assert set(ImagePull.objects.values_list("service__case__is_test", flat=True)) == {False}
    assert Case.history.filter(is_test=True).count() == 0


def test_a_real_case_that_somebody_marked_as_a_test_is_never_deleted(here: World) -> None:
    handle(here, assignment())
    case = Case.objects.get()
    casework.mark_test(case, get_user_model().objects.get(username="mette"), True)
    assert Case.objects.get().is_test
    assert cleanup.remove(cleanup.tests()) == cleanup.remove(Case.objects.all()) == 0
    assert cleanup.prune(timezone.now() + timedelta(days=400)) == 0
    assert (Case.objects.count(), Task.objects.count(), InboundEvent.objects.count()) == (1, 1, 1)


def test_a_test_case_goes_after_a_day_unless_it_is_kept(here: World) -> None:
    send(here.connection, here.nord, "fire")
    kept = send(here.connection, here.nord, "fire", keep=True)
    now = timezone.now()
    assert cleanup.prune(now) == 0
    assert cleanup.prune(now + timedelta(days=2)) == 1
    assert Case.objects.get().number == kept.case_number


def test_without_a_valid_token_nothing_is_sent(here: World) -> None:
    SecurityToken.objects.all().delete()
    with pytest.raises(NoToken) as error:
        send(here.connection, here.nord, "fire")
    assert error.value.problem.code == "SP-412"
    assert not InboundEvent.objects.exists()


def test_the_command_makes_what_is_missing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("scalepoint_send_test")
    said = capsys.readouterr().out
    assert "made the connection" in said
    assert "made “TEST Forsikring (eksempel)”" in said
    case = Case.objects.get()
    assert f"/admin/scalepoint_integration/case/{case.pk}/change/" in said
    call_command("scalepoint_send_test", example="fire", keep=True)
    assert "made" not in capsys.readouterr().out
    assert (Connection.objects.count(), InsuranceCompany.objects.count(), Case.objects.count()) == (1, 1, 2)


def test_the_command_says_no_clearly(here: World) -> None:
    with pytest.raises(CommandError, match="contract number 99"):
        call_command("scalepoint_send_test", contract="99")
    with pytest.raises(CommandError, match="alias nobody"):
        call_command("scalepoint_send_test", alias="nobody")
    Connection.objects.update(switch="off")
    with pytest.raises(CommandError, match="did not get through"):
        call_command("scalepoint_send_test")
    drain(queues.EVENTS)
    assert not Case.objects.exists()
