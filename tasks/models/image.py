import uuid
from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tasks.models.task import Task


def private_storage() -> Storage:
    """Pictures of people's homes: STORAGES["private"], else a folder that no web server gives out."""
    if "private" in settings.STORAGES:
        return storages["private"]
    return FileSystemStorage(location=Path(getattr(settings, "BASE_DIR", "")).resolve() / "private")


def random_name(image: "TaskImage", name: str) -> str:
    """Nothing of the name that the sender gave: it may be a path, a script, or somebody's CPR number."""
    return f"{timezone.now():tasks/%Y/%m/%d}/{uuid.uuid4().hex}"


class TaskImage(models.Model):
    """A picture of a task. Rows with the same content share one stored file; see services.attach_image."""

    task = models.ForeignKey(Task, verbose_name=_("task"), on_delete=models.CASCADE, related_name="images")
    file = models.FileField(_("file"), storage=private_storage, upload_to=random_name, max_length=200)
    thumbnail = models.FileField(
        _("thumbnail"), storage=private_storage, upload_to=random_name, max_length=200, blank=True
    )
    original_name = models.CharField(_("name"), max_length=300, blank=True)
    content_type = models.CharField(_("type"), max_length=100)
    size = models.PositiveBigIntegerField(_("size"))
    width = models.PositiveIntegerField(_("width"))
    height = models.PositiveIntegerField(_("height"))
    sha256 = models.CharField(max_length=64, db_index=True, editable=False)
    created_at = models.DateTimeField(_("received"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("image")
        verbose_name_plural = _("images")
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["task", "sha256"], name="sp_task_image_once")]

    def __str__(self) -> str:
        return self.original_name or str(self.pk)
