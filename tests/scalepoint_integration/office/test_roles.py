"""The four groups: who may open which page of the whole admin, and that a press of a button changes nothing for the
others."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django import Settings

from scalepoint_integration.client.keys import make_key
from scalepoint_integration.models import Notice, OutboundEvent, Refusal, ScalepointMail
from scalepoint_integration.office.roles import ROLES, Role, permissions_of, set_up
from tasks.models import Task
from tasks.services import attach_image
from tests.support.world import World, assignment, handle

APPS = ("scalepoint_crm", "scalepoint_tasks", "scalepoint_integration")
LADDER = [role.key for role in ROLES]
# The lowest role that sees the list and a row, adds, changes, deletes: reader, handler, administrator, technician,
# or "-" for nobody.
PAGES = {
    "scalepoint_crm.customer": "rhha",
    "scalepoint_crm.customertype": "raaa",
    "scalepoint_crm.team": "raaa",
    "scalepoint_crm.insurancecompany": "raa-",  # nobody deletes one that has cases
    "scalepoint_tasks.task": "rhha",
    "scalepoint_tasks.taskimage": "r--a",
    "scalepoint_tasks.dimension": "raaa",
    "scalepoint_tasks.tasktemplate": "raaa",
    "scalepoint_integration.case": "r-h-",
    "scalepoint_integration.connection": "aaa-",
    "scalepoint_integration.inboundevent": "r---",
    "scalepoint_integration.refusal": "r---",
    "scalepoint_integration.outboundevent": "h---",
    "scalepoint_integration.notice": "a---",
    "scalepoint_integration.overview": "r---",
    "scalepoint_integration.setup": "a---",
    "scalepoint_integration.defaultvalues": "a-a-",
    "scalepoint_integration.testcase": "a---",
}
# Permissions beside those of the models, and the lowest role that has each.
SPECIAL = {
    "scalepoint_integration.retry_event": "h",
    "scalepoint_integration.replay_event": "a",
    "scalepoint_integration.view_raw_payload": "t",
    "scalepoint_integration.export_cases": "a",
    "scalepoint_integration.anonymise_person": "a",
    "scalepoint_integration.send_test": "a",
    "scalepoint_integration.delete_test_data": "t",
    "scalepoint_integration.send_outbound": "a",
    "scalepoint_integration.manage_keys": "a",
    "scalepoint_integration.view_settlement": "a",
    "scalepoint_integration.view_overview": "r",
    "scalepoint_integration.view_setup": "a",
    "scalepoint_integration.change_setup": "a",
    "scalepoint_integration.view_defaultvalues": "a",
    "scalepoint_integration.change_defaultvalues": "a",
    "scalepoint_crm.manage_tokens": "a",
    "scalepoint_crm.view_securitytoken": "a",
    "scalepoint_crm.change_securitytoken": "a",
}
# What a page may write for whoever looks: their own visits, and what is theirs.
OWN = {"scalepoint_integration_usersettings", "scalepoint_integration_savedview"}


def may(role: str, lowest: str) -> bool:
    return lowest != "-" and LADDER.index(role) >= [each[0] for each in LADDER].index(lowest)


@pytest.fixture
def filled(world: World, settings: Settings, tmp_path: Path) -> World:
    """A row for every registered model."""
    handle(world, assignment(1), assignment(2), {"eventType": "unheard_of"})
    Refusal.objects.create(connection=world.connection, http_status=400, code="SP-104", incident="i", body=b"x")
    ScalepointMail.objects.create(connection=world.connection, how="sent", subject="s", body="b")
    OutboundEvent.objects.create(connection=world.connection, kind=OutboundEvent.Kind.values[0], key="k")
    make_key(world.connection)
    Notice.objects.create(user=get_user_model().objects.all()[0], kind="new_case", key="k")
    private = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "private": private}
    facts: dict[str, Any] = {"name": "tag.jpg", "content_type": "image/jpeg", "width": 3, "height": 3}
    attach_image(Task.objects.all()[0], content=b"roof", sha256="0" * 64, thumbnail=b"small", **facts)
    set_up()
    return world


def client_of(role: str) -> Client:
    user = get_user_model().objects.create_user(role, is_staff=True)
    user.groups.set(Group.objects.filter(name=next(each.names["en"] for each in ROLES if each.key == role)))
    client = Client()
    client.force_login(user)
    return client


def everything() -> dict[str, Any]:
    """A digest of each table of the three apps."""
    tables = [model._meta.db_table for app in APPS for model in apps.get_app_config(app).get_models()]
    found = {}
    with database.cursor() as cursor:
        for table in sorted({*tables} - OWN):
            cursor.execute(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM \"{table}\" t")
            found[table] = cursor.fetchone()
    return found


def ours() -> dict[str, Any]:
    return {
        model._meta.label_lower: page
        for model, page in admin.site._registry.items()
        if model._meta.app_label in APPS and model._meta.label_lower in PAGES
    }


def addresses(page: Any) -> Iterator[str]:
    """Every address of a registered page, with a row that is there."""
    rows = page.model._default_manager.order_by("pk")
    number = rows.values_list("pk", flat=True).first() or 1
    for pattern in page.get_urls():
        name = pattern.name
        if not name:
            continue
        arguments = dict.fromkeys(pattern.pattern.converters, number)
        try:
            yield reverse(f"admin:{name}", kwargs=arguments)
        except NoReverseMatch:
            continue


def address_of(name: str, *args: Any) -> str:
    """ "" where the page has no such address."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def test_the_table_names_every_page() -> None:
    registered = {model._meta.label_lower for model in admin.site._registry if model._meta.app_label in APPS}
    assert registered - {"scalepoint_integration.usersettings"} <= set(PAGES)


@pytest.mark.parametrize("role", LADDER)
def test_who_opens_which_page(filled: World, role: str) -> None:
    client = client_of(role)
    for label, page in ours().items():
        view, add, change, delete = PAGES[label]
        name = f"admin:{label.replace('.', '_')}"
        listed = client.get(reverse(f"{name}_changelist"), follow=True)  # a list of one goes on to its page
        assert listed.status_code == (200 if may(role, view) else 403), label
        if page.model._meta.proxy:
            continue
        number = page.model._default_manager.order_by("pk").values_list("pk", flat=True)[0]
        shown = client.get(reverse(f"{name}_change", args=[number]))
        assert shown.status_code == (200 if may(role, view) else 403), label
        saves = b'name="_save"' in shown.content
        assert saves == may(role, change), f"{role} {label}"
        for lowest, address in ((add, address_of(f"{name}_add")), (delete, address_of(f"{name}_delete", number))):
            if address:
                assert client.get(address).status_code == (200 if may(role, lowest) else 403), address
            else:
                assert lowest == "-", label


@pytest.mark.parametrize("role", LADDER)
def test_who_may_do_what_is_no_page(filled: World, role: str) -> None:
    client_of(role)
    user = get_user_model().objects.get(username=role)
    for permission, lowest in SPECIAL.items():
        assert user.has_perm(permission) == may(role, lowest), permission


def test_a_reader_changes_nothing_by_posting_to_any_address(filled: World) -> None:
    client = client_of("reader")
    before = everything()
    tried = 0
    for label, page in ours().items():
        actions = {getattr(action, "__name__", action) for action in page.actions or ()}
        rows = list(page.model._default_manager.order_by("pk").values_list("pk", flat=True))
        for address in addresses(page):
            for sent in ({}, {"post": "yes", "confirmed": "1", "do": "send", "connection": filled.connection.pk}):
                client.post(address, sent)
                tried += 1
        for action in actions | {"delete_selected"}:
            chosen = {"action": action, "_selected_action": rows, "post": "yes"}
            client.post(reverse(f"admin:{label.replace('.', '_')}_changelist"), chosen)
    assert tried > 80
    assert everything() == before


@pytest.mark.parametrize("role", LADDER)
def test_posts_to_forms_that_are_not_theirs_are_refused(filled: World, role: str) -> None:
    client = client_of(role)
    before = everything()
    for label, page in ours().items():
        if page.model._meta.proxy:
            continue
        _view, add, change, delete = PAGES[label]
        name = f"admin:{label.replace('.', '_')}"
        number = page.model._default_manager.order_by("pk").values_list("pk", flat=True)[0]
        for lowest, where, sent in (
            (add, address_of(f"{name}_add"), {}),
            (change, reverse(f"{name}_change", args=[number]), {"name": "x"}),
            (delete, address_of(f"{name}_delete", number), {"post": "yes"}),
        ):
            if where and not may(role, lowest):
                assert client.post(where, sent).status_code == 403, where
    assert everything() == before


def groups() -> dict[str, set[str]]:
    return {
        group.name: {f"{each.content_type.app_label}.{each.codename}" for each in group.permissions.all()}
        for group in Group.objects.prefetch_related("permissions__content_type")
    }


def test_each_role_has_what_the_one_before_it_has(db: None) -> None:
    call_command("scalepoint_setup_roles", language="en")
    made = groups()
    assert list(made) == [role.names["en"] for role in ROLES]
    rights = list(made.values())
    assert all(lower < higher for lower, higher in pairwise(rights))
    assert rights == [set(permissions_of(role)) for role in ROLES]


def test_groups_are_found_again_in_both_languages_and_keep_what_they_got(db: None) -> None:
    call_command("scalepoint_setup_roles", language="da")
    assert list(groups()) == [role.names["da"] for role in ROLES]
    reader = Group.objects.get(name=ROLES[0].names["da"])
    own = Permission.objects.get(codename="add_group")
    taken = Permission.objects.get(codename="view_case")
    reader.permissions.add(own)
    reader.permissions.remove(taken)
    call_command("scalepoint_setup_roles", language="en")
    made = groups()
    assert list(made) == [role.names["da"] for role in ROLES]
    assert made[reader.name] == {*permissions_of(ROLES[0]), "auth.add_group"}
    assert set_up() == []


def test_a_database_that_is_not_migrated_is_left_alone(db: None) -> None:
    Permission.objects.filter(codename="retry_event").delete()
    with pytest.raises(CommandError, match=re.escape("missing: scalepoint_integration.retry_event")):
        call_command("scalepoint_setup_roles")
    assert not Group.objects.exists()


def test_every_special_permission_is_in_a_role() -> None:
    """One that is added later must be given to somebody, or named here."""
    given = set(permissions_of(ROLES[-1]))
    special = {
        f"{model._meta.app_label}.{codename}"
        for app in APPS
        for model in apps.get_app_config(app).get_models()
        for codename, _label in model._meta.permissions
    }
    assert not special - given
    assert isinstance(ROLES[0], Role)
