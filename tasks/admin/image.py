"""The pictures, which are given out here and nowhere else: to whoever may see them."""

from pathlib import PurePath
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from crm.admin.base import OfficeAdmin
from tasks.models import TaskImage
from tasks.services import remove_images

# Shown in the browser. All else is only ever saved to disk: a drawing or a page could carry a script.
SHOWN = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}


class TaskImageAdmin(OfficeAdmin):
    list_display = ("__str__", "task", "file_size", "created_at")
    list_select_related = ("task",)
    search_fields = ("original_name", "task__title")
    fields = ("picture", "task", "original_name", "content_type", "file_size", "width", "height", "created_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: TaskImage) -> None:
        remove_images([obj])

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[TaskImage]") -> None:
        remove_images(queryset)

    @admin.display(description=_("image"))
    def picture(self, image: TaskImage) -> SafeString:
        return format_html(
            '<a href="{}"><img src="{}" alt="{}" loading="lazy"></a>',
            reverse("admin:scalepoint_tasks_taskimage_file", args=[image.pk], current_app=self.admin_site.name),
            reverse("admin:scalepoint_tasks_taskimage_thumbnail", args=[image.pk], current_app=self.admin_site.name),
            image,
        )

    @admin.display(description=_("size"), ordering="size")
    def file_size(self, image: TaskImage) -> str:
        return filesizeformat(image.size)

    def get_urls(self) -> list[URLPattern]:
        serve = self.admin_site.admin_view(self.serve)
        return [
            path("<path:pk>/file/", serve, {"name": "file"}, name="scalepoint_tasks_taskimage_file"),
            path("<path:pk>/thumbnail/", serve, {"name": "thumbnail"}, name="scalepoint_tasks_taskimage_thumbnail"),
            *super().get_urls(),
        ]

    def serve(self, request: HttpRequest, pk: str, name: str) -> HttpResponseBase:
        try:
            image = self.get_queryset(request).filter(pk=pk).first()
        except (ValueError, ValidationError):
            image = None
        # No picture and no permission look the same from outside.
        if image is None or not self.has_view_permission(request, image):
            raise Http404
        # A picture too small for a thumbnail is its own.
        stored = image.thumbnail if name == "thumbnail" and image.thumbnail else image.file
        try:
            content = stored.storage.open(stored.name, "rb")
        except FileNotFoundError:
            raise Http404 from None
        # Thumbnails are made by us, always as JPEG.
        kind = image.content_type if stored is image.file else "image/jpeg"
        stem = slugify(PurePath(image.original_name).stem) or f"{image.pk}"
        response = FileResponse(
            content,
            as_attachment=kind not in SHOWN,
            filename=stem + SHOWN.get(kind, ".bin"),
            content_type=kind if kind in SHOWN else "application/octet-stream",
        )
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return response


def register(site: admin.AdminSite) -> None:
    site.register(TaskImage, TaskImageAdmin)
