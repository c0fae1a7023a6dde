"""The tasks of a case, brought in line with what is stored about it: closed or open, its messages, its pictures.

Called at the end of each handler that changes any of this, and after a task was made: so a task gets what was said
before there was a task. Safe to call at any time and any number of times; the order of events does not matter.
"""

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext

from scalepoint_integration import errors, queues, workqueue
from scalepoint_integration.adapter import Adapter, fitting
from scalepoint_integration.fetching import images
from scalepoint_integration.handling import lifecycle
from scalepoint_integration.models import Case, CaseAttachment, CaseMessage, ImagePull, Service
from scalepoint_integration.payloads.assignment import ImageRef
from scalepoint_integration.payloads.attachments import may_be_picture
from scalepoint_integration.workqueue.doorbell import ring
from tasks.models import Task, TaskNote


def apply(case: Case, adapter: Adapter) -> None:
    """``case`` is locked and saved. Saves what it changes of it and of its services."""
    services = list(case.services.exclude(task=None).select_related("task").order_by("pk"))
    flagged = False
    for service in services:
        flagged |= _close_or_reopen(case, service, adapter)
    code = errors.TASK_IN_PROGRESS.code
    flags = [flag for flag in case.flags if flag["code"] != code] + [{"code": code}] * flagged
    if flags != case.flags:
        case.flags = flags
        case.save(update_fields=["flags", "updated_at"])
    if services:
        _write_messages(case, services, adapter)
        _ask_for_pictures(case, services)


def still_true(case: Case, flag: Mapping[str, str]) -> bool:
    """Whether a flag still asks somebody to decide: not once the task was closed by hand."""
    return (
        flag["code"] != errors.TASK_IN_PROGRESS.code
        or case.services.filter(task__isnull=False).exclude(task__status__in=Task.ENDED).exists()
    )


def _close_or_reopen(case: Case, service: Service, adapter: Adapter) -> bool:
    """Close or reopen the task, once for each thing Scalepoint said: what a person did to it since then stays.
    Returns whether a person must decide. ``service.applied`` holds the status and the reason that we wrote."""
    task, closed = service.task, lifecycle.closing(case.lifecycle)
    assert task is not None  # noqa: S101  for the type checker
    ours = service.applied.get("status", "")
    rest = {name: value for name, value in service.applied.items() if name not in ("status", "closed_reason")}
    if closed is None:
        if not ours:
            return False
        if task.status == ours:
            adapter.reopen_task(task)
        applied = rest
    else:
        cancelled, wanted = bool(closed["terminated"]), _closing_fields(closed)
        if wanted == {name: service.applied.get(name) for name in wanted}:
            return False
        if task.status in Task.ENDED and task.status != ours:
            return False  # a person closed it, for a reason of their own
        if task.status not in Task.ENDED and _worked_on(task):
            return True
        if task.status == ours:
            # Closed by us before, for another reason than the one that holds now.
            adapter.reopen_task(task)
        adapter.close_task(task, wanted["closed_reason"], cancelled)
        applied = {**rest, **wanted}
    service.applied = applied
    service.save(update_fields=["applied"])
    return False


def keep_open(case: Case) -> None:
    """A person decided on SP-206: the tasks stay as they are, also when the same closing is looked at again. ``case``
    is locked; its flags are not saved here."""
    closed = lifecycle.closing(case.lifecycle)
    for service in case.services.exclude(task=None) if closed else []:
        assert closed is not None  # noqa: S101  for the type checker
        service.applied = {**service.applied, **_closing_fields(closed)}
        service.save(update_fields=["applied"])
    case.flags = [flag for flag in case.flags if flag["code"] != errors.TASK_IN_PROGRESS.code]


def _closing_fields(closed: Mapping[str, Any]) -> dict[str, str]:
    status = Task.Status.CANCELLED if closed["terminated"] else Task.Status.DONE
    return {"status": str(status), **fitting(Task, {"closed_reason": lifecycle.in_words(closed)})}


def _worked_on(task: Task) -> bool:
    """A person has begun: the task is not new any more, something is ticked off, or somebody wrote a note."""
    return (
        task.status != Task.Status.NEW
        or task.check_items.filter(done=True).exists()
        or task.notes.exclude(author=None).exists()
    )


def _write_messages(case: Case, services: list[Service], adapter: Adapter) -> None:
    wanted = {f"message:{message.key}": _in_words(message) for message in case.messages.order_by("sent_at", "pk")}
    if not wanted:
        return
    rows = TaskNote.objects.filter(task__in=[service.task_id for service in services], source_key__in=wanted)
    written = {(task, key): text for task, key, text in rows.values_list("task", "source_key", "text")}
    for service in services:
        for key, text in wanted.items():
            if service.task and written.get((service.task.pk, key)) != text:
                adapter.add_note(service.task, text, key)


def _in_words(message: CaseMessage) -> str:
    sender = message.sender_name or message.sender_email or message.sender_phone
    who = f"{sender} ({message.sender_role})" if sender and message.sender_role else sender or message.sender_role
    head = gettext("Message in Scalepoint")
    lines = [
        ", ".join(filter(None, (f"{head}: {who}" if who else head, message.channel))),
        message.subject,
        message.content,
    ]
    names = ", ".join(filter(None, (file["name"] or file["type"] for file in message.attachments)))
    if names:
        lines.append(gettext("Files in Scalepoint: %(names)s") % {"names": names})
    return "\n".join(filter(None, lines))


def _ask_for_pictures(case: Case, services: list[Service]) -> None:
    files = {_key(file): file for file in case.attachments.all()}
    if not files:
        return
    pulls = _pulls(services).filter(key__in=files)
    asked = {(pull.service_id, pull.key): pull for pull in pulls.only("service", "key", "status")}
    gone = [pull.pk for pull in asked.values() if files[pull.key].deleted]
    _pulls(services).filter(pk__in=gone, status=ImagePull.Status.PENDING).update(
        status=ImagePull.Status.IGNORED, finished_at=Now()
    )
    back = _pulls(services).filter(
        status=ImagePull.Status.IGNORED, pk__in={pull.pk for pull in asked.values()} - {*gone}
    )
    if any(pull.status == ImagePull.Status.IGNORED and pull.pk not in gone for pull in asked.values()):
        workqueue.retry(back)
        transaction.on_commit(partial(ring, queues.IMAGES), robust=True)
    wanted = {key: file for key, file in files.items() if not file.deleted and file.link}
    for service in services:
        new = [
            ImageRef(key=key, url=file.link, file_name=file.file_name)
            for key, file in wanted.items()
            if (service.pk, key) not in asked and may_be_picture(file.file_type, file.file_name)
        ]
        images.request(service, new)


def _pulls(services: list[Service]) -> QuerySet[ImagePull]:
    return ImagePull.objects.filter(service__in=services)


def _key(file: CaseAttachment) -> str:
    return hashlib.sha256(f"attachment:{file.guid}".encode()).hexdigest()
