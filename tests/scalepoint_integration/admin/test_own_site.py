"""A host that has an admin site of its own registers the pages there."""

import ast
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import include, path

import crm.admin
import scalepoint_integration.admin
import tasks.admin
from tests.scalepoint_integration.test_architecture import APP, ROOT, modules
from tests.support.world import World

site = admin.AdminSite(name="office")
for app in (crm.admin, tasks.admin, scalepoint_integration.admin):
    app.register(site)

urlpatterns = [path("office/", site.urls), path("api/scalepoint/", include("scalepoint_integration.urls"))]


def pages(of: admin.AdminSite) -> dict[Any, type]:
    ours = ("scalepoint_crm", "scalepoint_tasks", "scalepoint_integration")
    return {model: type(page) for model, page in of._registry.items() if model._meta.app_label in ours}


def test_the_same_pages_are_there() -> None:
    assert pages(site) == pages(admin.site)
    assert len(pages(site)) > 15


@pytest.mark.urls(__name__)
def test_each_list_opens_there(world: World) -> None:
    client = Client()
    client.force_login(get_user_model().objects.create_user("ole", is_staff=True, is_superuser=True))
    assert client.get("/office/").status_code == 200
    for model in pages(site):
        address = f"/office/{model._meta.app_label}/{model._meta.model_name}/"
        assert client.get(address, follow=True).status_code == 200, address


def test_no_page_registers_itself() -> None:
    """Only the package of an app's pages knows Django's default site, and names it once."""
    doors = [ROOT / app / "admin" / "__init__.py" for app in ("crm", "tasks", "scalepoint_integration")]
    for path_ in modules(ROOT / "crm", ROOT / "tasks", APP):
        nodes = [
            ast.unparse(node) for node in ast.walk(ast.parse(path_.read_text())) if isinstance(node, ast.Attribute)
        ]
        assert "admin.register" not in nodes, path_
        assert nodes.count("admin.site") == (path_ in doors), path_
