"""From an event to pictures on the task: asked for once, fetched later, and never in the way of the case."""

import base64
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from scalepoint_integration import queues, workqueue
from scalepoint_integration.fetching import images
from scalepoint_integration.models import Case, ImagePull, InboundEvent
from scalepoint_integration.simulator import server as simulator
from scalepoint_integration.simulator.pictures import draw
from scalepoint_integration.workqueue.drain import drain
from tasks.models import Task, TaskImage
from tests.support.world import World, assignment, handle, make_world


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("file", "thumbnail"):
        monkeypatch.setattr(TaskImage._meta.get_field(name), "storage", FileSystemStorage(tmp_path))
    return tmp_path


@pytest.fixture
def trusted(settings: Settings, server: simulator.Server) -> str:
    settings.SCALEPOINT = {"IMAGE_TRUSTED_ORIGINS": [server.url], "IMAGE_SECONDS": 5}
    return f"{server.url}/images"


def with_images(*refs: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {**assignment(number), "images": list(refs)}


def inline(content: bytes, **facts: str) -> dict[str, Any]:
    return {"content": base64.b64encode(content).decode(), **facts}


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def states() -> list[tuple[str, str]]:
    return list(ImagePull.objects.order_by("pk").values_list("status", "error_code"))


def test_images_by_address_and_inline_become_pictures_of_the_task(world: World, trusted: str, private: Path) -> None:
    png = draw("inline", "PNG")
    handle(
        world,
        with_images(
            {"id": "1", "url": f"{trusted}/one.jpg", "fileName": "tag.jpg", "fileType": "text/html"},
            {"id": "2", "url": f"{trusted}/bad/redirect.jpg"},
            inline(png, fileName="../../etc/mur.png"),
        ),
    )
    assert states() == [("pending", "")] * 3
    drain(queues.IMAGES)
    assert states() == [("done", "")] * 3
    pictures = list(Task.objects.get().images.order_by("pk"))
    assert [picture.content_type for picture in pictures] == ["image/jpeg", "image/jpeg", "image/png"]
    assert pictures[2].file.read() == png
    assert (pictures[2].width, pictures[2].height, pictures[2].size) == (800, 600, len(png))
    assert all("etc" not in picture.file.name and picture.thumbnail for picture in pictures)
    assert files(private) == 6
    # The bytes that came along are not kept twice.
    assert not ImagePull.objects.exclude(content=None).exists()


def test_an_image_told_twice_is_one_image(world: World, trusted: str, private: Path) -> None:
    ref = {"id": "1", "url": f"{trusted}/one.jpg"}
    again = {**with_images(ref, {"id": "2", "url": f"{trusted}/one.jpg"}), "timestamp": "2031-05-07T00:00:00Z"}
    handle(world, with_images(ref, ref), again)
    drain(queues.IMAGES)
    # Two addresses of one picture: both are done, the task shows it once, and the disk holds it once.
    assert states() == [("done", "")] * 2
    assert TaskImage.objects.count() == 1
    assert files(private) == 2


def test_the_same_picture_on_two_tasks_is_stored_once(world: World, trusted: str, private: Path) -> None:
    ref = {"url": f"{trusted}/one.jpg"}
    handle(world, with_images(ref), with_images(ref, number=2))
    drain(queues.IMAGES)
    assert TaskImage.objects.count() == 2
    assert files(private) == 2


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/no/such.jpg", "SP-301"),
        ("/bad/private.jpg", "SP-301"),
        ("/bad/file.jpg", "SP-301"),
        ("/bad/html.jpg", "SP-302"),
        ("/bad/svg.jpg", "SP-302"),
        ("/bad/cut.jpg", "SP-302"),
        ("/bad/bomb.png", "SP-302"),
        ("/bad/huge.jpg", "SP-302"),
        ("/bad/empty.jpg", "SP-302"),
    ],
)
def test_a_bad_image_never_stops_a_case(world: World, trusted: str, private: Path, path: str, code: str) -> None:
    good = {"url": f"{trusted}/good.jpg"}
    bad = ("404" in path and f"{trusted}/no/such.jpg") or f"{trusted}{path}"
    [event] = handle(world, with_images({"url": bad}, good))
    drain(queues.IMAGES)
    assert event.status == "done"
    assert Case.objects.get().status == "in_progress"
    assert states() == [("failed", code), ("done", "")], ImagePull.objects.order_by("pk")[0].last_error
    assert TaskImage.objects.count() == 1


@pytest.mark.parametrize("content", ["not base64!", "", base64.b64encode(b"no picture").decode(), "base64"])
def test_bad_inline_images_never_stop_a_case(world: World, private: Path, content: str) -> None:
    [event] = handle(world, with_images({"fileName": "x.jpg", "content": content}))
    drain(queues.IMAGES)
    assert event.status == "done"
    assert Task.objects.count() == 1
    assert [code for _status, code in states()] == (["SP-302"] if content else [])
    assert files(private) == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/x.jpg",
        "https://localhost/x.jpg",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "nonsense",
    ],
)
def test_an_address_that_is_not_allowed_is_not_opened(world: World, trusted: str, private: Path, url: str) -> None:
    handle(world, with_images({"url": url}))
    drain(queues.IMAGES)
    assert states() == [("failed", "SP-301")]
    assert "not allowed" in ImagePull.objects.get().last_error


def test_what_may_work_later_is_tried_again(world: World, trusted: str, private: Path) -> None:
    handle(world, with_images({"url": f"{trusted}/bad/flaky-x.jpg"}))
    drain(queues.IMAGES)
    assert states() == [("pending", "SP-301")]
    ImagePull.objects.update(available_at=timezone.now())
    drain(queues.IMAGES)
    assert states() == [("done", "")]
    assert TaskImage.objects.count() == 1


def test_a_failed_image_fetched_again_by_hand(world: World, trusted: str, private: Path, settings: Settings) -> None:
    origin = settings.SCALEPOINT
    settings.SCALEPOINT = {}
    handle(world, with_images({"url": f"{trusted}/one.jpg"}))
    drain(queues.IMAGES)
    assert states() == [("failed", "SP-301")]
    settings.SCALEPOINT = origin
    assert workqueue.retry(ImagePull.objects.all()) == 1
    drain(queues.IMAGES)
    assert states() == [("done", "")]


def test_no_transaction_is_open_while_an_image_is_fetched(
    transactional_db: None, trusted: str, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle(make_world(), with_images({"url": f"{trusted}/one.jpg"}))
    seen = []
    fetch = images.fetch

    def watched(url: str) -> bytes:
        seen.append(connection.in_atomic_block)
        return fetch(url)

    monkeypatch.setattr(images, "fetch", watched)
    drain(queues.IMAGES)
    assert seen == [False]
    assert states() == [("done", "")]


def test_images_of_a_task_that_is_gone_are_not_kept(world: World, trusted: str, private: Path) -> None:
    handle(world, with_images({"url": f"{trusted}/one.jpg"}))
    Task.objects.get().delete()
    drain(queues.IMAGES)
    assert states() == [("done", "")]
    assert files(private) == 0


def test_more_images_than_anybody_takes(world: World, private: Path, settings: Settings) -> None:
    settings.SCALEPOINT = {"IMAGE_MAX_PER_EVENT": 3}
    handle(world, with_images(*({"url": f"https://images.example/{n}.jpg"} for n in range(5))))
    assert ImagePull.objects.count() == 3
    assert InboundEvent.objects.get().status == "done"
