from datetime import date
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from crm.models import Customer, Team
from tasks import services
from tasks.models import Dimension, Task, TaskContact, TaskNote, TaskTemplate, TaskTemplateItem

pytestmark = pytest.mark.django_db
TODAY = date(2031, 5, 6)


@pytest.fixture
def template() -> TaskTemplate:
    template = TaskTemplate.objects.create(
        name="Damage",
        title="Damage",
        description="Call within a day.",
        days_to_deadline=14,
        team=Team.objects.create(name="Service"),
        responsible=get_user_model().objects.create_user("mette"),
    )
    for position, text in ((2, "Take pictures"), (1, "Call")):
        TaskTemplateItem.objects.create(template=template, position=position, text=text)
    return template


def test_a_task_begins_as_its_template(template: TaskTemplate) -> None:
    contacts = [{"source_key": "holder", "name": "Jens", "role": "Policyholder"}, {"name": "Anna"}]
    task = services.create_task(
        template=template, title="905709", description="Storm.", contacts=contacts, today=TODAY, scalepoint_id="905709"
    )
    task.refresh_from_db()
    assert (task.title, task.description) == ("Damage – 905709", "Call within a day.\n\nStorm.")
    assert (task.deadline, task.status, task.scalepoint_id) == (date(2031, 5, 20), "new", "905709")
    assert (task.team, task.responsible) == (template.team, template.responsible)
    assert [(item.text, item.done) for item in task.check_items.all()] == [("Call", False), ("Take pictures", False)]
    assert [contact.name for contact in task.contacts.all()] == ["Jens", "Anna"]


def test_what_is_given_wins_over_the_template(template: TaskTemplate) -> None:
    team, deadline = Team.objects.create(name="Roof"), date(2031, 6, 1)
    task = services.create_task(
        template=template,
        title="Damage: 905709",
        description="Call within a day.\n\nStorm.",
        team=team,
        deadline=deadline,
        today=TODAY,
    )
    assert (task.title, task.description) == ("Damage: 905709", "Call within a day.\n\nStorm.")
    assert (task.team, task.deadline, task.responsible) == (team, deadline, template.responsible)


def test_a_task_without_template_and_with_too_long_a_title() -> None:
    task = services.create_task(title="T" * 300, today=TODAY, work_country="Danmark")
    task.refresh_from_db()
    assert (len(task.title), task.title[-1], task.deadline, task.check_items.count()) == (200, "…", None, 0)
    assert task.work_country == ""


def test_a_task_is_made_whole_or_not_at_all(template: TaskTemplate) -> None:
    with pytest.raises(TypeError):
        services.create_task(template=template, title="x", contacts=[{"name": "Jens"}, {"nonsense": 1}], today=TODAY)
    assert (Task.objects.count(), TaskContact.objects.count()) == (0, 0)


def test_update_task_writes_the_named_fields_alone() -> None:
    task = services.create_task(title="905709", damage_type="Roof")
    Task.objects.filter(pk=task.pk).update(description="typed meanwhile")
    before = task.updated_at
    assert services.update_task(task, {"damage_type": "Storm", "title": "905709"}) == ["damage_type"]
    task.refresh_from_db()
    assert (task.damage_type, task.description) == ("Storm", "typed meanwhile")
    assert task.updated_at > before
    assert services.update_task(task, {"damage_type": "Storm"}) == []


def test_a_note_of_the_machine_is_written_once_and_one_of_a_person_each_time() -> None:
    task, other = services.create_task(title="a"), services.create_task(title="b")
    first = services.add_note(task, "Closed.", source_key="event 7")
    assert services.add_note(task, "Closed again.", source_key="event 7") == first
    services.add_note(other, "Closed.", source_key="event 7")
    author = get_user_model().objects.create_user("mette")
    for _ in range(2):
        services.add_note(task, "Called.", author)
    assert [(note.text, note.author) for note in task.notes.all()] == [
        ("Closed.", None),
        ("Called.", author),
        ("Called.", author),
    ]
    assert TaskNote.objects.count() == 4
    with pytest.raises(IntegrityError), transaction.atomic():
        TaskNote.objects.create(task=task, text="x", source_key="event 7")


def test_a_contact_is_added_once() -> None:
    task = services.create_task(title="a")
    first = services.add_contact(task, "plumber", name="Ole", email="not an address", country="Danmark")
    assert services.add_contact(task, "plumber", name="Ole", phone="28112233") == first
    services.add_contact(task, "witness", name="Ole")
    assert [(row.source_key, row.phone, row.country) for row in task.contacts.all()] == [
        ("plumber", "", "DK"),
        ("witness", "", "DK"),
    ]
    with pytest.raises(IntegrityError), transaction.atomic():
        TaskContact.objects.create(task=task, name="x", source_key="plumber")


def test_closing_and_reopening() -> None:
    task = services.create_task(title="a")
    Task.objects.filter(pk=task.pk).update(description="typed meanwhile")
    assert services.reopen_task(task) is False
    assert services.close_task(task, "Not covered") is True
    assert services.close_task(task, "Other", cancelled=True) is False
    assert (task.status, task.closed_reason, task.is_open) == ("done", "Not covered", False)
    task.refresh_from_db()
    assert (task.status, task.closed_reason, task.description) == ("done", "Not covered", "typed meanwhile")
    assert services.reopen_task(task) is True
    task.refresh_from_db()
    assert (task.status, task.closed_reason, task.is_open) == ("in_progress", "", True)
    assert services.close_task(task, cancelled=True) is True
    task.refresh_from_db()
    assert task.status == "cancelled"


def test_of_two_that_close_one_does() -> None:
    task = services.create_task(title="a")
    mine, yours = Task.objects.get(pk=task.pk), Task.objects.get(pk=task.pk)
    assert (services.close_task(mine, "mine"), services.close_task(yours, "yours")) == (True, False)
    assert Task.objects.get(pk=task.pk).closed_reason == "mine"


def test_who_has_tasks_is_not_deleted(template: TaskTemplate) -> None:
    jens = Customer.objects.create(name="Jens")
    roof = Dimension.objects.create(kind=Dimension.Kind.DEPARTMENT, name="Roof")
    services.create_task(template=template, title="a", customer=jens, department=roof)
    used: list[Any] = [jens, roof, template]
    for row in used:
        with pytest.raises(ProtectedError):
            row.delete()
    assert (Customer.objects.count(), Dimension.objects.count(), TaskTemplate.objects.count()) == (1, 1, 1)
    assert template.responsible is not None
    template.responsible.delete()
    assert Task.objects.get().responsible is None
