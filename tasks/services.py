"""What others may do with tasks. Each of these may run twice with the same facts and leaves one result."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from crm.locks import hold
from crm.services import fit
from tasks.models import Task, TaskCheckItem, TaskContact, TaskImage, TaskNote, TaskTemplate


def create_task(
    *,
    template: TaskTemplate | None = None,
    title: str = "",
    description: str = "",
    contacts: Iterable[Mapping[str, Any]] = (),
    today: date | None = None,
    **fields: Any,
) -> Task:
    """A task as its template begins it. What is given wins over the template's team, responsible and deadline; title
    and description become what ``compose`` makes of them. Each contact is what ``add_contact`` takes."""
    title, description = compose(template, title, description)
    if template:
        for name in ("team", "responsible"):
            if fields.get(name) is None:
                fields[name] = getattr(template, name)
        if fields.get("deadline") is None and template.days_to_deadline is not None:
            fields["deadline"] = (today or timezone.localdate()) + timedelta(days=template.days_to_deadline)
    fields |= {"title": title, "description": description}
    with transaction.atomic():
        task = Task.objects.create(template=template, **fit(Task, fields))
        if template:
            TaskCheckItem.objects.bulk_create(
                TaskCheckItem(task=task, position=item.position, text=item.text) for item in template.items.all()
            )
        for contact in contacts:
            add_contact(task, **contact)
    return task


def compose(template: TaskTemplate | None, title: str, description: str) -> tuple[str, str]:
    """Title and description of a task: the template's words stand in front of those given, where they don't
    already."""
    if template is None:
        return title, description
    if template.title and not title.startswith(template.title):
        title = " – ".join(filter(None, [template.title, title]))
    if not description.startswith(template.description):
        description = "\n\n".join(filter(None, [template.description.strip(), description.strip()]))
    return title or template.name, description


def update_task(task: Task, changes: Mapping[str, Any]) -> list[str]:
    """Write the named fields that differ, and no other: somebody may be editing the rest. Returns their names."""
    fitted = fit(Task, changes)
    changed = [name for name, value in fitted.items() if getattr(task, name) != value]
    for name in changed:
        setattr(task, name, fitted[name])
    if changed:
        task.save(update_fields=[*changed, "updated_at"])
    return changed


def close_task(task: Task, reason: str = "", *, cancelled: bool = False) -> bool:
    """Returns False, and changes nothing, where the task was closed before."""
    status = Task.Status.CANCELLED if cancelled else Task.Status.DONE
    return _move(task, to=status, reason=reason, when_open=True)


def reopen_task(task: Task, *, begun: bool = True) -> bool:
    """Returns False, and changes nothing, where the task is open. ``begun``: it was worked on before it was closed."""
    status = Task.Status.IN_PROGRESS if begun else Task.Status.NEW
    return _move(task, to=status, reason="", when_open=False)


def add_note(task: Task, text: str, author: Any = None, source_key: str = "") -> TaskNote:
    """With a source key the note is written once, and stays as it is when it comes again."""
    facts = {"text": text, "author": author}
    if not source_key:
        return TaskNote.objects.create(task=task, **facts)
    return TaskNote.objects.get_or_create(task=task, source_key=source_key, defaults=facts)[0]


def add_contact(task: Task, source_key: str = "", **facts: Any) -> TaskContact:
    """With a source key the contact is added once, and stays as it is when it comes again."""
    fitted = fit(TaskContact, facts)
    if not source_key:
        return TaskContact.objects.create(task=task, **fitted)
    return TaskContact.objects.get_or_create(task=task, source_key=source_key, defaults=fitted)[0]


def add_contacts(task: Task, contacts: Mapping[str, Mapping[str, Any]]) -> None:
    """Add the contacts, by source key, that are not there yet. What a contact has no field for is left out."""
    known = {field.name for field in TaskContact._meta.concrete_fields} - {"id", "task", "source_key"}
    rows = []
    for source_key, facts in contacts.items():
        said = {name: value for name, value in facts.items() if name in known and value}
        rows.append(TaskContact(task=task, source_key=source_key, **fit(TaskContact, said)))
    TaskContact.objects.bulk_create(rows, ignore_conflicts=True)


def attach_image(
    task: Task,
    *,
    name: str,
    content: bytes,
    content_type: str,
    width: int,
    height: int,
    sha256: str,
    thumbnail: bytes,
) -> TaskImage:
    """The picture on the task, once. The same content is stored once, however many tasks show it."""
    with transaction.atomic():
        hold(f"image:{sha256}")  # against the same picture at the same time, and against its removal
        known = TaskImage.objects.filter(sha256=sha256)
        here = known.filter(task=task).first()
        if here:
            return here
        facts = {"content_type": content_type, "width": width, "height": height, "original_name": name}
        image = TaskImage(task=task, sha256=sha256, size=len(content), **fit(TaskImage, facts))
        twin = known.first()
        if twin:
            image.file, image.thumbnail = twin.file.name, twin.thumbnail.name
        else:
            image.file.save("", ContentFile(content), save=False)
            if thumbnail:
                image.thumbnail.save("", ContentFile(thumbnail), save=False)
        image.save()
    return image


def remove_images(images: Iterable[TaskImage]) -> int:
    """Remove the rows, and after the commit the files that no other row shows. Returns how many rows."""
    removed = 0
    # In one order, so that two removals never wait for each other.
    for image in sorted(images, key=lambda image: (image.sha256, image.pk)):
        with transaction.atomic():
            hold(f"image:{image.sha256}")
            removed += image.delete()[1].get(TaskImage._meta.label, 0)
            if TaskImage.objects.filter(sha256=image.sha256, file=image.file.name).exists():
                continue
            for stored in (image.file, image.thumbnail):
                if stored.name:
                    transaction.on_commit(partial(stored.storage.delete, stored.name), robust=True)
    return removed


def prune_files(today: date, days: int = 7) -> int:
    """Remove the files of those days before ``today`` that no row shows: a transaction that was undone after it wrote
    its picture leaves one. The last two days are left alone, somebody may still be writing. Returns how many."""
    storage = TaskImage._meta.get_field("file").storage
    removed = 0
    for ago in range(2, days + 1):
        folder = f"tasks/{today - timedelta(days=ago):%Y/%m/%d}"
        try:
            stored = {f"{folder}/{name}" for name in storage.listdir(folder)[1]}
        except FileNotFoundError:
            continue
        shown = TaskImage.objects.filter(Q(file__in=stored) | Q(thumbnail__in=stored))
        kept = {name for names in shown.values_list("file", "thumbnail") for name in names}
        for name in sorted(stored - kept):
            storage.delete(name)
            removed += 1
    return removed


def _move(task: Task, *, to: Task.Status, reason: str, when_open: bool) -> bool:
    """Change the status if it still is what the caller thinks; of two at once only one moves it."""
    rows = Task.objects.filter(pk=task.pk)
    rows = rows.filter(status__in=Task.OPEN if when_open else Task.ENDED)
    changes = fit(Task, {"status": to, "closed_reason": reason}) | {"updated_at": timezone.now()}
    if not rows.update(**changes):
        return False
    for name, value in changes.items():
        setattr(task, name, value)
    return True
