"""The whole way, on real parts: HTTP in, customer, task and pictures out, within two seconds of the answer; and the
demo's stories, told by the stand-in and answered by the office."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.core.cache import cache

from devtools import demo_data
from scalepoint_integration.models import (
    Case,
    CaseMessage,
    ImagePull,
    InboundEvent,
    OutboundEvent,
    Payment,
    Reserve,
    Revision,
    Settlement,
)
from scalepoint_integration.simulator import server as simulator
from scalepoint_integration.simulator.cases import make_cases
from scalepoint_integration.simulator.sender import send
from scalepoint_integration.simulator.stories import make_stories
from tasks.models import Task, TaskImage, TaskNote
from tests.support.live import PATH, Site, eventually, site
from tests.support.world import assignment, make_world


@pytest.fixture
def running(transactional_db: None) -> Iterator[tuple[Site, simulator.Server]]:
    cache.clear()
    make_world()
    with ExitStack() as stack:
        images = stack.enter_context(simulator.start())
        made = stack.enter_context(site(SCALEPOINT_IMAGE_TRUSTED_ORIGINS=images.url))
        made.web()
        made.worker("events", "scalepoint", 1)
        made.worker("images", "scalepoint-images", 1)
        # No beat: the rings alone must do. The first cases show that everybody is up.
        assert made.post({**assignment(999), "images": [{"url": f"{images.images_url}/first.jpg"}]})[0] == 202
        eventually(lambda: TaskImage.objects.count() == 1, 30, lambda: made.log("images").read_text())
        yield made, images


def test_a_posted_case_is_a_task_with_its_images_within_two_seconds(running: tuple[Site, simulator.Server]) -> None:
    made, images = running
    for number in range(1, 6):  # one after another: no ring may be swallowed by the one before
        begun = time.monotonic()
        event = assignment(number)
        event["images"] = [{"id": str(n), "url": f"{images.images_url}/{number}-{n}.jpg"} for n in range(3)]
        assert made.post(event)[0] == 202
        eventually(lambda n=number: TaskImage.objects.count() == 1 + 3 * n, 2)
        assert time.monotonic() - begun < 2
        task = Task.objects.order_by("-pk")[0]
        assert task.customer is not None
        assert (task.requisition_number, task.images.count()) == (event["case"]["number"], 3)
    status, answer = made.post(event)
    assert (status, answer["events"][0]["status"]) == (202, "duplicate")
    assert Task.objects.count() == 6
    assert set(ImagePull.objects.values_list("status", flat=True)) == {"done"}


@pytest.fixture
def demo(transactional_db: None) -> Iterator[tuple[Site, simulator.Server, list[dict[str, str]]]]:
    """What `make demo` makes, on the test's database: its rows, its stand-in, its workers."""
    cache.clear()
    with ExitStack() as stack:
        stand_in = stack.enter_context(simulator.start())
        origins = ("SCALEPOINT_IMAGE_TRUSTED_ORIGINS", "SCALEPOINT_CLIENT_TRUSTED_ORIGINS")
        made = stack.enter_context(site(**dict.fromkeys(origins, stand_in.url)))
        insurers = demo_data._make_rows({"username": "admin", "password": "invented-password"}, stand_in.url)
        client_id, certificate = demo_data._make_key()
        stand_in.scalepoint.register_client(client_id, [certificate])
        made.web()
        made.worker("events", "scalepoint", 1)
        made.worker("others", "scalepoint-images,scalepoint-outbound", 1)
        made.beat()
        yield made, stand_in, insurers


def test_the_demo_tells_stories_and_its_office_answers(
    demo: tuple[Site, simulator.Server, list[dict[str, str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    made, stand_in, insurers = demo
    endpoint = f"http://127.0.0.1:{made.port}{PATH}"
    cases = list(make_cases(4, "1", insurers, stand_in.images_url))
    assert send(cases, endpoint).accepted == 4
    spec = {"simulator_url": stand_in.url, "endpoint": endpoint, "insurers": insurers, "count": 3, "seed": "1"}
    assert demo_data.tell(spec), capsys.readouterr().out
    told = capsys.readouterr().out
    assert "3 of the cases went on: 6 messages, 3 reserves, 3 settlements, 2 closed." in told
    assert "(4 sendings)" in told

    def state() -> dict[str, int]:
        counted = (
            CaseMessage,
            InboundEvent,
            OutboundEvent,
            Payment,
            Reserve,
            Revision,
            Settlement,
            TaskImage,
            TaskNote,
        )
        return {model.__name__: model.objects.count() for model in counted}

    # Of the four cases one is as it was; the second was opened again; all four are tasks. Two have no task.
    assert Task.objects.count() == 4
    numbers = [case.case_number for case in cases]
    statuses = dict(Case.objects.values_list("number", "status"))
    assert [statuses[number] for number in numbers[1::2]] == ["in_progress"] * 2
    assert {statuses[number] for number in numbers[0::2]} <= {"closed", "cancelled"}
    first = state()
    # Two files are added in a story, and one of them is taken away; it may have been fetched before that.
    pictures = sum(case.images for case in cases)
    assert pictures + 3 <= first["TaskImage"] <= pictures + 6
    events = sum(len(story.events) for story in make_stories(3, "1", insurers, stand_in.images_url))
    assert first["InboundEvent"] == events + 1 + demo_data.UNNUMBERED
    assert (first["Settlement"], first["Revision"], first["Payment"], first["OutboundEvent"]) == (3, 3, 3, 4)
    # The stand-in has it: our numbers, the message and the status of the payment.
    sent = stand_in.scalepoint.received("send")
    assert [each["status"] for each in sent] == [202] * 4
    ours = {each["event"]["case"]["number"] for each in sent if each["event"]["eventType"] == "case_created"}
    unnumbered = Case.objects.filter(services=None)
    assert ours == {f"{demo_data.CONTRACT_NUMBER}-{case.pk}" for case in unnumbered}
    assert len(ours) == demo_data.UNNUMBERED
    payment = Payment.objects.order_by("pk")[0]
    assert stand_in.scalepoint.payment(payment.uuid) == "processed"
    assert len(stand_in.scalepoint.case(payment.settlement.case.token)["messages"]) == 1

    # Told a second time, nothing comes of it.
    assert demo_data.tell(spec), capsys.readouterr().out
    assert state() == first
    assert len(stand_in.scalepoint.received("send")) == 4


def test_a_story_that_can_not_be_told_is_said(
    db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_data, "STORIES_SECONDS", 0.2)
    nowhere = {"simulator_url": "http://127.0.0.1:9", "endpoint": "http://127.0.0.1:9/", "count": 3, "seed": "1"}
    insurers = [{"name": "N", "alias": "n", "sub_alias": "", "token": "secret-token"}]
    assert not demo_data.tell(nowhere | {"insurers": insurers})
    told = capsys.readouterr().out
    assert "push_stories: no answer (ConnectionRefusedError)" in told
    assert "secret-token" not in told
