"""An image that a case speaks of, until it is fetched; also its own queue entry. And a picture that was read."""

from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from scalepoint_integration.workqueue import QueueItem


class ImagePull(QueueItem):
    """``url`` to fetch, or ``content`` that came along with the event and is emptied when it is stored."""

    service = models.ForeignKey(
        "scalepoint_integration.Service", models.CASCADE, related_name="pulls", verbose_name=_("service")
    )
    key = models.CharField(max_length=64, editable=False)
    url = models.TextField(_("address"), blank=True, editable=False)
    file_name = models.CharField(_("file name"), max_length=255, blank=True, editable=False)
    content = models.BinaryField(null=True, editable=False)
    image = models.ForeignKey(
        "scalepoint_tasks.TaskImage",
        models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("image"),
    )
    created_at = models.DateTimeField(_("received"), auto_now_add=True)

    class Meta(QueueItem.Meta):
        verbose_name = _("image to fetch")
        verbose_name_plural = _("images to fetch")
        constraints = [models.UniqueConstraint(fields=["service", "key"], name="sp_image_once")]

    def __str__(self) -> str:
        return self.file_name or self.key[:12]


@dataclass(frozen=True, slots=True)
class Picture:
    """``width`` and ``height`` in pixels as the picture is seen (turned as its EXIF says), ``size`` in bytes.
    ``thumbnail`` is a JPEG made of the pixels alone: no place, no camera, no text of the original is in it."""

    content_type: str
    extension: str
    width: int
    height: int
    sha256: str
    size: int
    thumbnail: bytes
