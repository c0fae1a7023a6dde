"""The page "Send a test case": try it before it counts, show it, train a colleague, reproduce a fault."""

import json
from dataclasses import asdict
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import NoReverseMatch, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.models import InsuranceCompany
from scalepoint_integration.admin.pages import PageAdmin, allow, connection_of
from scalepoint_integration.models import Connection, TestCase
from scalepoint_integration.office.checklist import endpoint_address
from scalepoint_integration.test_cases import cleanup, examples, outcome
from scalepoint_integration.test_cases.send import NoToken, Sent, payloads, send

_ICONS = {"good": "✔", "bad": "✖", "wait": "⏳"}
_SESSION = "scalepoint_test_case"
SEND, DELETE = "scalepoint_integration.send_test", "scalepoint_integration.delete_test_data"


class TestCaseAdmin(PageAdmin):
    page_template = "scalepoint/testcase.html"
    title = _("Send a test case")

    class Media:
        css = {"all": ["scalepoint/testcase.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(SEND))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        wrap, name = self.admin_site.admin_view, "scalepoint_integration_testcase"
        return [
            path("send/", wrap(self.send), name=f"{name}_send"),
            path("delete-all/", wrap(self.delete_all), name=f"{name}_delete_all"),
            *super().get_urls(),
        ]

    def page_context(self, request: HttpRequest) -> dict[str, Any]:
        connection, insurers = connection_of(request), _insurers()
        data = request.POST if request.method == "POST" else request.GET
        example, insurer = _chosen(data, insurers)
        last = request.session.get(_SESSION)
        return {
            "connection": connection,
            "connections": Connection.objects.order_by("pk"),
            "insurers": insurers,
            "insurer": insurer,
            "examples": [(key, each, key == example) for key, each in examples.EXAMPLES.items()],
            "result": _result(last) if last else None,
            "contents": self._contents(request, connection, insurer, example) if "show" in data else None,
            "tests": cleanup.tests().count(),
            "may_delete": request.user.has_perm(DELETE),
        }

    def _contents(self, request: HttpRequest, connection: Any, insurer: Any, example: str) -> Any:
        """The events as they would be sent, and the command that sends them: the token stands for itself."""
        if connection is None or insurer is None:
            return None
        address = endpoint_address(connection, request.build_absolute_uri("/"))
        texts = [_short(event) for event in payloads(insurer, example)]
        command = f"curl -X POST {address} -H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' -d @-"
        return {"texts": texts, "command": command}

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        allow(request, SEND)
        if "show" in request.POST:
            return self.changelist_view(request)
        connection = connection_of(request)
        example, insurer = _chosen(request.POST, _insurers())
        back = reverse("admin:scalepoint_integration_testcase_changelist")
        if connection is None or insurer is None:
            self.message_user(request, _("You need a connection and an insurance company first."), messages.ERROR)
            return HttpResponseRedirect(back)
        try:
            sent = send(connection, insurer, example, keep="keep" in request.POST)
        except NoToken as error:
            self.message_user(request, str(error.problem), messages.ERROR)
        else:
            request.session[_SESSION] = asdict(sent) | {"insurer": insurer.pk, "connection": connection.pk}
        return HttpResponseRedirect(f"{back}?insurer={insurer.pk}&example={example}#result")

    def delete_all(self, request: HttpRequest) -> HttpResponse:
        """Asks first, then deletes."""
        allow(request, SEND)
        if not request.user.has_perm(DELETE):
            raise PermissionDenied
        if request.method != "POST":
            context = {"count": cleanup.tests().count()}
            return self.render(request, "scalepoint/testcase_delete.html", _("Delete all test cases"), context)
        count = cleanup.remove(cleanup.tests())
        request.session.pop(_SESSION, None)
        self.message_user(request, ngettext("%d test case was deleted.", "%d test cases were deleted.", count) % count)
        return HttpResponseRedirect(reverse("admin:scalepoint_integration_testcase_changelist"))


def _insurers() -> list[InsuranceCompany]:
    return list(InsuranceCompany.objects.filter(active=True).order_by("name", "pk")[:200])


def _chosen(data: Any, insurers: list[InsuranceCompany]) -> tuple[str, InsuranceCompany | None]:
    """The example and the company that a form names, else the first of each."""
    example = data.get("example", "")
    if example not in examples.EXAMPLES:
        example = next(iter(examples.EXAMPLES))
    wanted = data.get("insurer", "")
    return example, next((each for each in insurers if str(each.pk) == wanted), insurers[0] if insurers else None)


def _result(last: dict[str, Any]) -> dict[str, Any]:
    answers = tuple((status, code) for status, code in last["answers"])
    sent = Sent(last["case_number"], last["example"], answers, tuple(last["event_ids"]), last["seconds"])
    example = examples.EXAMPLES.get(sent.example)
    found = [
        {"state": step.state, "icon": _ICONS[step.state], "text": step.text, "url": _page_of(step.row), "step": step}
        for step in outcome.steps(sent)
    ]
    meant = bool(example and example.fails and any(row["state"] == "bad" for row in found))
    again = {"example": sent.example, "insurer": last["insurer"], "connection": last["connection"]}
    return {"sent": sent, "example": example, "steps": found, "meant": meant, "again": again}


def _page_of(row: Any) -> str:
    if row is None:
        return ""
    try:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:  # a host that left that page out
        return ""


def _short(event: dict[str, Any]) -> str:
    """For reading: a picture inside is shown by its length alone."""
    images = [{**image, "content": f"… ({len(image['content'])})"} for image in event.get("images", ())]
    return json.dumps({**event, "images": images} if images else event, indent=2, ensure_ascii=False)


def register(site: admin.AdminSite) -> None:
    site.register(TestCase, TestCaseAdmin)
