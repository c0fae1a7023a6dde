from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tasks import services
from tasks.models import Task, TaskImage

pytestmark = pytest.mark.django_db
PICTURE = b"\x89PNG of a roof"


def attach(task: Task, content: bytes = PICTURE, **facts: Any) -> TaskImage:
    given: dict[str, Any] = {
        "name": "../../Ærø <script>.png",
        "content_type": "image/png",
        "width": 640,
        "height": 480,
        "sha256": sha256(content).hexdigest(),
        "thumbnail": b"small " + content,
    }
    return services.attach_image(task, content=content, **given | facts)


def files(folder: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_a_picture_is_attached_once(private_files: Path) -> None:
    task = services.create_task(title="a")
    first = attach(task)
    assert attach(task) == first
    assert TaskImage.objects.count() == 1
    assert files(private_files) == sorted([PICTURE, b"small " + PICTURE])
    image = TaskImage.objects.get()
    assert (image.size, image.width, image.height, image.content_type) == (len(PICTURE), 640, 480, "image/png")
    assert "script" not in image.file.name and image.file.name != image.thumbnail.name
    assert image.file.name.startswith("tasks/2") and len(image.file.name.split("/")) == 5
    assert image.file.read() == PICTURE


def test_the_same_content_is_stored_once_for_all_tasks(
    private_files: Path, django_capture_on_commit_callbacks: Any
) -> None:
    images = [attach(services.create_task(title="a"), name="N" * 400) for _ in range(3)]
    assert len({image.file.name for image in images}) == 1
    assert len(files(private_files)) == 2
    assert (TaskImage.objects.count(), len(images[0].original_name)) == (3, 300)
    with django_capture_on_commit_callbacks(execute=True):
        assert services.remove_images(images[:2]) == 2
    assert (TaskImage.objects.count(), len(files(private_files))) == (1, 2)
    with django_capture_on_commit_callbacks(execute=True):
        assert services.remove_images(TaskImage.objects.all()) == 1
    assert (TaskImage.objects.count(), files(private_files)) == (0, [])


def test_a_picture_without_thumbnail(private_files: Path) -> None:
    image = attach(services.create_task(title="a"), thumbnail=b"")
    assert (image.thumbnail.name or "", files(private_files)) == ("", [PICTURE])


@pytest.mark.django_db(transaction=True)
def test_removal_that_is_undone_keeps_the_file(private_files: Path) -> None:
    image = attach(services.create_task(title="a"))
    with pytest.raises(RuntimeError), transaction.atomic():
        services.remove_images([image])
        raise RuntimeError
    assert (TaskImage.objects.count(), len(files(private_files))) == (1, 2)


@pytest.mark.django_db(transaction=True)
def test_the_same_picture_at_the_same_time(private_files: Path) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    tasks = [services.create_task(title=str(number)) for number in range(2)] * 3

    def work(task: Task) -> None:
        try:
            attach(task)
        finally:
            connections.close_all()

    threads = [Thread(target=work, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert TaskImage.objects.count() == 2
    assert len(files(private_files)) == 2


def test_files_that_no_row_shows_are_removed_after_two_days(private_files: Path) -> None:
    task = services.create_task(title="a")
    kept = attach(task)
    undone = attach(task, b"undone")
    TaskImage.objects.filter(pk=undone.pk).delete()
    written = timezone.now().date()
    for days, removed in ((0, 0), (1, 0), (8, 0), (2, 2), (2, 0)):
        assert services.prune_files(written + timedelta(days=days)) == removed, days
    assert files(private_files) == sorted([PICTURE, b"small " + PICTURE])
    assert kept.file.read() == PICTURE


def address(image: TaskImage, name: str = "file") -> str:
    return reverse(f"admin:scalepoint_tasks_taskimage_{name}", args=[image.pk])


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_who_may_see_it_gets_the_picture(client: Client) -> None:
    image = attach(services.create_task(title="a"))
    user = get_user_model().objects.create_user("mette", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_taskimage"))
    client.force_login(user)
    response = client.get(address(image))
    assert (response.status_code, body(response)) == (200, PICTURE)
    assert response["Content-Type"] == "image/png"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response["Content-Disposition"] == 'inline; filename="r-script.png"'
    small = client.get(address(image, "thumbnail"))
    assert (small["Content-Type"], body(small)) == ("image/jpeg", b"small " + PICTURE)


def test_what_is_no_picture_is_only_saved_to_disk(admin_client: Client) -> None:
    for number, kind in enumerate(("image/svg+xml", "text/html", "")):
        image = attach(services.create_task(title="a"), b"<script>%d" % number, content_type=kind, name="x.html")
        response = admin_client.get(address(image))
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"] == 'attachment; filename="x.bin"'


def test_nobody_else_gets_it(client: Client, private_files: Path) -> None:
    image = attach(services.create_task(title="a"))
    for name in ("file", "thumbnail"):
        anonymous = client.get(address(image, name))
        assert anonymous.status_code == 302 and "/login/" in anonymous["Location"]
    user = get_user_model().objects.create_user("ole", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(user)
    for name in ("file", "thumbnail"):
        assert client.get(address(image, name)).status_code == 404
    get_user_model().objects.filter(pk=user.pk).update(is_staff=False)
    assert client.get(address(image)).status_code == 302


def test_what_is_not_there_is_not_found(admin_client: Client, private_files: Path) -> None:
    image = attach(services.create_task(title="a"))
    for key in ("0", "none", "../1", str(10**30)):
        assert admin_client.get(address(image).replace(f"/{image.pk}/", f"/{key}/")).status_code == 404
    for file in private_files.rglob("*"):
        if file.is_file():
            file.unlink()
    assert admin_client.get(address(image)).status_code == 404


def test_deleting_in_the_office_removes_the_files(
    admin_client: Client, private_files: Path, django_capture_on_commit_callbacks: Any
) -> None:
    task, other = services.create_task(title="a"), services.create_task(title="b")
    image = attach(task)
    attach(task, b"another")
    attach(other, b"a third")
    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(reverse("admin:scalepoint_tasks_taskimage_delete", args=[image.pk]), {"post": "yes"})
    assert (TaskImage.objects.count(), len(files(private_files))) == (2, 4)
    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(reverse("admin:scalepoint_tasks_task_delete", args=[task.pk]), {"post": "yes"})
    assert (Task.objects.count(), TaskImage.objects.count(), len(files(private_files))) == (1, 1, 2)
    action = {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(reverse("admin:scalepoint_tasks_task_changelist"), action)
    assert (Task.objects.count(), TaskImage.objects.count(), files(private_files)) == (0, 0, [])
