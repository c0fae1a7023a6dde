"""The whole way, on real parts: HTTP in, customer, task and pictures out, within two seconds of the answer."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.core.cache import cache

from scalepoint_integration.models import ImagePull
from scalepoint_integration.simulator import server as simulator
from tasks.models import Task, TaskImage
from tests.live import Site, eventually, site
from tests.world import assignment, make_world


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
