"""Images of a case: asked for with the event, fetched later, attached to the task. A missing one never stops a case.

fetch.py opens foreign addresses, picture.py decides what a picture is; here is the queue between them.
"""

from collections.abc import Sequence
from functools import partial

from django.db import transaction
from django.db.models import QuerySet

from scalepoint_integration import errors, queues, workqueue
from scalepoint_integration.adapter import get_adapter
from scalepoint_integration.conf import conf
from scalepoint_integration.fetching.fetch import fetch
from scalepoint_integration.fetching.picture import decode_inline, read_picture
from scalepoint_integration.models import ImagePull, Service
from scalepoint_integration.payloads.assignment import ImageRef
from scalepoint_integration.workqueue import LeaseLost, PermanentError, RetryableError
from scalepoint_integration.workqueue.doorbell import ring


def request(service: Service, images: Sequence[ImageRef]) -> None:
    """Ask for images; one that was asked for before is not asked for again. Database only."""
    rows = []
    for image in images[: conf().image_max_per_event]:
        row = ImagePull(service=service, key=image.key, url=image.url, file_name=image.file_name[:255])
        if image.content:
            try:
                row.content = decode_inline(image.content)
            except PermanentError as error:
                row.status, row.error_code, row.last_error = ImagePull.Status.FAILED, error.code, str(error)
        rows.append(row)
    if rows:
        ImagePull.objects.bulk_create(rows, ignore_conflicts=True)
        transaction.on_commit(partial(ring, queues.IMAGES), robust=True)


def ready() -> "QuerySet[ImagePull]":
    """What may be pulled: everything."""
    return ImagePull.objects.all()


def pull(items: Sequence[ImagePull]) -> None:
    """Pull claimed images, one after another."""
    for item in items:
        _pull(item)


def _pull(item: ImagePull) -> None:
    """Fetch and check a claimed image outside any transaction, then attach it and finish in one."""
    try:
        content = bytes(item.content) if item.content is not None else fetch(item.url)
        picture = read_picture(content)
        with workqueue.finish(item):
            task = item.service.task
            image = get_adapter().attach_image(task, item.file_name, content, picture) if task else None
            ImagePull.objects.filter(pk=item.pk).update(image=image, content=None)
    except LeaseLost:
        pass  # another worker has it, and will attach the same picture
    except RetryableError as error:
        error.code = errors.IMAGE_NOT_FETCHED.code
        workqueue.fail(item, error)
    except Exception as error:
        workqueue.fail(item, error)
