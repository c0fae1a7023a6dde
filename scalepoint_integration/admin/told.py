"""What Scalepoint told about a case, to be read on its page and changed by nobody."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from scalepoint_integration.models import CaseAttachment, CaseMessage, CaseNote

if TYPE_CHECKING:
    InlineBase = admin.StackedInline[Any, Any]
else:
    InlineBase = admin.StackedInline


class ReadOnlyInline(InlineBase):
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MessageInline(ReadOnlyInline):
    model = CaseMessage
    ordering = ("-sent_at", "-pk")
    fields = (
        ("sent_at", "channel"),
        ("sender_name", "sender_role", "sender_email", "sender_phone"),
        "subject",
        "content",
    )


class AttachmentInline(ReadOnlyInline):
    model = CaseAttachment
    ordering = ("-said_at", "-pk")
    fields = (("file_name", "file_type", "deleted", "said_at"),)


class NoteInline(ReadOnlyInline):
    model = CaseNote
    ordering = ("-said_at", "-pk")
    fields = (("said_at", "text"),)
