"""What the demo makes before it starts, and how it tells a finished case from one that is not."""

import json
import time

import pytest
from django.contrib.auth import authenticate
from django.utils import timezone

from crm.models import InsuranceCompany
from devtools import demo_data
from scalepoint_integration.models import Case, Connection, ImagePull, InboundEvent, Service
from tasks.models import Task, TaskImage

pytestmark = pytest.mark.django_db
POSTED = {"case_number": "2031-1", "service_id": "SVC-1", "images": 2}


@pytest.fixture
def connection():
    return Connection.objects.create(contract_number=demo_data.CONTRACT_NUMBER, switch="on")


def make_case(connection, *, images):
    """A handled case with a task and two images to fetch, so many of them fetched."""
    case = Case.objects.create(connection=connection, number="2031-1")
    task = Task.objects.create(title="Tag", scalepoint_id="svc-1")
    service = Service.objects.create(case=case, service_id="svc-1", task=task)
    for number in range(2):
        picture = {"task": task, "size": 1, "width": 1, "height": 1, "sha256": str(number)}
        got = TaskImage.objects.create(**picture) if number < images else None
        ImagePull.objects.create(
            service=service,
            key=str(number),
            image=got,
            **({"status": "done", "finished_at": timezone.now()} if got else {"error_code": "SP-401"}),
        )


def test_prepared_rows_let_the_insurers_in_and_the_admin_log_in():
    admin = {"username": "admin", "password": "invented-password"}
    insurers = demo_data._make_rows(admin)

    assert authenticate(None, **admin).is_superuser
    assert Connection.objects.get().switch == "on"
    assert len({each["token"] for each in insurers}) == len(insurers) == InsuranceCompany.objects.count()
    assert all(set(each) == {"name", "alias", "sub_alias", "token"} for each in insurers)
    assert all("(eksempel)" in each["name"] for each in insurers)


def test_a_finished_case_has_a_task_with_all_its_images(connection):
    make_case(connection, images=2)
    (row,) = demo_data.look([POSTED])
    assert (row["task"], row["fetched"], row["expected"], row["why"]) == ("Tag", 2, 2, "")


def test_a_missing_image_is_named_with_the_state_of_its_row(connection):
    make_case(connection, images=1)
    (row,) = demo_data.look([POSTED])
    assert (row["fetched"], row["waiting"]) == (1, True)
    assert row["why"] == "images missing: pending SP-401"


def test_a_case_without_a_task_is_told_with_the_state_of_its_event(connection):
    (row,) = demo_data.look([POSTED])
    assert row["why"] == "no task: its event was never stored"

    InboundEvent.objects.create(
        connection=connection,
        dedupe_key="1",
        event_type="repair_service_requested",
        case_number="2031-1",
        status="failed",
        error_code="SP-204",
        finished_at=timezone.now(),
    )
    (row,) = demo_data.look([POSTED])
    assert row["why"] == "no task: failed SP-204"
    assert not row["waiting"]


def test_what_nobody_will_try_again_is_not_waited_for(connection, tmp_path, capsys):
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"cases": [POSTED], "errors": []}))
    started = time.monotonic()
    assert not demo_data.wait("tasks", report, 1)
    make_case(connection, images=1)
    ImagePull.objects.filter(status="pending").update(status="failed", finished_at=timezone.now())
    assert not demo_data.wait("images", report, 1)
    assert time.monotonic() - started < 10
    assert "2031-1: images missing: failed SP-401" in capsys.readouterr().out


def test_waiting_ends_and_tells_what_is_missing(connection, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo_data, "STALLED_SECONDS", 0.1)
    report = tmp_path / "report.json"
    assert not demo_data.wait("tasks", report, 2)

    report.write_text(json.dumps({"cases": [POSTED], "errors": ["2031-2: answered 401"]}))
    make_case(connection, images=1)
    assert not demo_data.wait("tasks", report, 2)
    assert not demo_data.wait("images", report, 2)
    told = capsys.readouterr().out
    assert "1/2" in told
    assert "2031-1: images missing: pending SP-401" in told
    assert "2031-2: answered 401" in told
    assert "Only 1 of 2 cases were posted." in told


def test_waiting_succeeds_at_once_when_all_is_there(connection, tmp_path, capsys):
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"cases": [POSTED], "errors": []}))
    make_case(connection, images=2)
    assert demo_data.wait("tasks", report, 1)
    assert demo_data.wait("images", report, 1)
    assert "2/2" in capsys.readouterr().out
