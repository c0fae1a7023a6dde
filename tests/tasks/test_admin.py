from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from crm.models import Customer, InsuranceCompany, Team
from tasks import services
from tasks.models import Dimension, Task, TaskImage, TaskNote, TaskTemplate
from tests.support.forms import form

pytestmark = pytest.mark.django_db
TASKS = reverse("admin:scalepoint_tasks_task_changelist")


@pytest.fixture
def task() -> Task:
    company = InsuranceCompany.objects.create(name="Nordins", alias="nordins")
    jens = Customer.objects.create(name="Jens", insurer=company, street="Bygaden 4", postal_code="5000", city="Odense")
    team = Team.objects.create(name="Service")
    task = services.create_task(
        template=TaskTemplate.objects.create(name="Damage"),
        title="905709",
        customer=jens,
        insurer=company,
        team=team,
        scalepoint_url="https://scalepoint.example/905709",
        contacts=[{"name": "Anna"}],
    )
    services.add_note(task, "Storm.", source_key="event 1")
    return task


def page(task: Task) -> str:
    return reverse("admin:scalepoint_tasks_task_change", args=[task.pk])


def picture(task: Task, content: bytes = b"roof", **facts: Any) -> TaskImage:
    key = sha256(content).hexdigest()
    given: dict[str, Any] = {"name": "roof.jpg", "content_type": "image/jpeg", "width": 1, "height": 1}
    return services.attach_image(task, content=content, sha256=key, thumbnail=b"small", **given | facts)


def test_every_page_opens(admin_client: Client, task: Task, django_assert_max_num_queries: Any) -> None:
    roof = Dimension.objects.create(kind=Dimension.Kind.DEPARTMENT, name="Roof")
    for row, most in ((task, 25), (task.template, 8), (roof, 4), (picture(task), 5)):
        assert row is not None
        name = row._meta.model_name
        for view, args in (("changelist", []), ("add", []), ("change", [row.pk])):
            with django_assert_max_num_queries(most):
                response = admin_client.get(reverse(f"admin:scalepoint_tasks_{name}_{view}", args=args))
            expected = 403 if (name, view) == ("taskimage", "add") else 200
            assert response.status_code == expected, (name, view)


def test_a_long_list_needs_no_more_queries_than_a_short_one(
    admin_client: Client, task: Task, django_assert_num_queries: Any
) -> None:
    for number in range(30):
        jens = Customer.objects.create(name=f"Jens {number}")
        services.create_task(title=str(number), customer=jens, insurer=task.insurer, team=task.team)
    # Login 2, count 1, rows 1; filters: colleagues, teams, companies 3.
    with django_assert_num_queries(7):
        response = admin_client.get(TASKS)
    assert response.context["cl"].result_count == 31


def test_a_long_task_needs_no_more_queries_than_a_short_one(
    admin_client: Client, task: Task, django_assert_max_num_queries: Any
) -> None:
    mette = get_user_model().objects.create_user("mette", is_staff=True)
    for number in range(20):
        services.add_note(task, str(number), mette)
        services.add_contact(task, name=str(number))
        picture(task, b"%d" % number)
    with django_assert_max_num_queries(25):
        assert admin_client.get(page(task)).status_code == 200


def test_the_list_is_searched_and_filtered(admin_client: Client, task: Task) -> None:
    services.create_task(title="other", responsible=get_user_model().objects.get(username="admin"))
    late = services.create_task(title="late", deadline=timezone.localdate() - timedelta(days=1))
    done = services.create_task(title="done", deadline=timezone.localdate() - timedelta(days=1))
    services.close_task(done)

    def found(query: str) -> list[str]:
        response = admin_client.get(TASKS + query)
        assert response.status_code == 200
        return sorted(row.title for row in response.context["cl"].result_list)

    assert found("?q=bygaden") == ["905709"]
    assert found("?late=1") == ["late"]
    assert found("?responsible=me") == ["other"]
    assert found("?responsible=none") == ["905709", "done", "late"]
    assert found("?status__exact=done") == ["done"]
    assert found(f"?insurer__id__exact={task.insurer_id}") == ["905709"]
    text = admin_client.get(TASKS).content.decode()
    assert "Bygaden 4, 5000 Odense" in text
    assert 'class="state state-good"><span aria-hidden="true">✔</span> Closed' in text
    assert late.is_open


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://scalepoint.example/1", True),
        ("HTTP://scalepoint.example/1", True),
        ("javascript:alert(1)", False),
        ("//scalepoint.example/1", False),
        ('https://x/"><script>alert(1)</script>', True),
        ("", False),
    ],
)
def test_the_link_to_scalepoint(admin_client: Client, task: Task, url: str, linked: bool) -> None:
    Task.objects.update(scalepoint_url=url)
    text = admin_client.get(page(task)).content.decode()
    assert ('rel="noopener noreferrer">Open in Scalepoint' in text) is linked
    assert 'href="javascript' not in text and "<script>alert" not in text


def test_the_pictures_of_the_task(admin_client: Client, client: Client, task: Task) -> None:
    assert "There are no images on this task" in admin_client.get(page(task)).content.decode()
    image = picture(task, name='"><b>.jpg')
    text = admin_client.get(page(task)).content.decode()
    assert reverse("admin:scalepoint_tasks_taskimage_thumbnail", args=[image.pk]) in text
    assert 'alt="Image 1 &quot;&gt;&lt;b&gt;.jpg"' in text
    assert image.file.name not in text
    user = get_user_model().objects.create_user("ole", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(user)
    text = client.get(page(task)).content.decode()
    assert "905709" in text and "taskimage" not in text


def test_saving_untouched_changes_nothing(admin_client: Client, task: Task) -> None:
    before = Task.objects.values().get()
    response = admin_client.post(page(task), form(admin_client.get(page(task))))
    assert response.status_code == 302
    after = Task.objects.values().get()
    assert {**after, "updated_at": None} == {**before, "updated_at": None}
    assert (task.notes.count(), task.contacts.count(), task.check_items.count()) == (1, 1, 0)


def test_a_note_bears_the_name_of_its_author_and_stays_as_written(admin_client: Client, task: Task) -> None:
    data = form(admin_client.get(page(task)))
    assert admin_client.post(page(task), data | {"notes-1-text": "Called Jens."}).status_code == 302
    written = TaskNote.objects.get(text="Called Jens.")
    assert written.author is not None and written.author.get_username() == "admin"
    first = task.notes.get(source_key="event 1")
    data = form(admin_client.get(page(task))) | {"notes-0-id": str(first.pk), "notes-0-text": "forged"}
    admin_client.post(page(task), data)
    first.refresh_from_db()
    assert (first.text, first.author, TaskNote.objects.filter(text="forged").count()) == ("Storm.", None, 0)


def test_a_check_list_is_ticked_and_grows(admin_client: Client, task: Task) -> None:
    data = form(admin_client.get(page(task))) | {"check_items-0-text": "Call", "check_items-0-done": "on"}
    assert admin_client.post(page(task), data).status_code == 302
    assert [(item.text, item.done) for item in task.check_items.all()] == [("Call", True)]


def test_who_may_only_look_changes_nothing(client: Client, admin_client: Client, task: Task) -> None:
    data = form(admin_client.get(page(task))) | {"title": "changed", "notes-1-text": "forged"}
    user = get_user_model().objects.create_user("ole", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_task"))
    client.force_login(user)
    assert client.get(TASKS).status_code == 200
    for address in (
        page(task),
        reverse("admin:scalepoint_tasks_task_add"),
        reverse("admin:scalepoint_tasks_task_delete", args=[task.pk]),
    ):
        assert client.post(address, data | {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": [task.pk], "post": "yes"}
    client.post(TASKS, action)
    assert (Task.objects.get().title, TaskNote.objects.count()) == ("905709", 1)


def test_only_the_lists_own_values_are_taken(admin_client: Client, task: Task) -> None:
    roof = Dimension.objects.create(kind=Dimension.Kind.DEPARTMENT, name="Roof")
    data = form(admin_client.get(page(task)))
    assert admin_client.post(page(task), data | {"carrier": str(roof.pk)}).status_code == 200
    assert Task.objects.get().carrier is None
    assert admin_client.post(page(task), data | {"department": str(roof.pk)}).status_code == 302
    assert Task.objects.get().department == roof
