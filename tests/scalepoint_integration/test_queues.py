"""The table of queues and jobs: each row leads somewhere, and nobody else keeps a list."""

import ast
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

from scalepoint_integration import queues
from scalepoint_integration.workqueue import QueueItem

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    path
    for app in ("crm", "tasks", "scalepoint_integration", "settings")
    for path in sorted((ROOT / app).rglob("*.py"))
    if "migrations" not in path.parts
]


def test_every_table_that_is_a_queue_has_a_row() -> None:
    models = [model for model in apps.get_models() if issubclass(model, QueueItem) and not model._meta.proxy]
    assert {apps.get_model(queue.model) for queue in queues.QUEUES} == set(models)


@pytest.mark.parametrize("queue", queues.QUEUES, ids=lambda queue: queue.name)
def test_every_path_of_a_queue_leads_somewhere(queue: queues.Queue) -> None:
    model = apps.get_model(queue.model)
    assert import_string(queue.ready)().model is model
    assert callable(import_string(queue.work))
    assert not queue.lost or callable(import_string(queue.lost))
    assert {field.attname for field in model._meta.concrete_fields} >= set(queue.together)


@pytest.mark.parametrize("job", queues.PERIODIC, ids=lambda job: job.name)
def test_every_path_of_a_job_leads_somewhere(job: queues.Periodic) -> None:
    assert callable(import_string(job.work))


def test_names_are_given_once() -> None:
    assert len({job.name for job in queues.JOBS}) == len({job.job for job in queues.JOBS}) == len(queues.JOBS)


def test_the_site_routes_and_schedules_what_the_table_says() -> None:
    assert settings.CELERY_TASK_ROUTES["scalepoint_integration.jobs.drain_images"] == {"queue": "scalepoint-images"}
    assert settings.CELERY_TASK_DEFAULT_QUEUE == "scalepoint"
    assert set(settings.CELERY_TASK_ROUTES) == {job.job for job in queues.JOBS}
    assert {name: entry["schedule"] for name, entry in settings.CELERY_BEAT_SCHEDULE.items()} == {
        "scalepoint-sweep": 10.0,
        "scalepoint-poll": 30.0,
        "scalepoint-watch": 3600.0,
        "scalepoint-prune": 3600.0,
    }
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["options"] == {"expires": entry["schedule"]}


def test_names_of_jobs_and_of_their_queues_are_written_in_the_table_alone() -> None:
    names = "|".join(re.escape(name) for name in {job.job for job in queues.JOBS})
    short = "|".join(f"drain_{queue.name}" for queue in queues.QUEUES)
    celery = "|".join(re.escape(name) for name in {job.celery for job in queues.JOBS} if "-" in name)
    pattern = re.compile(rf"({names}|{short}|scalepoint_integration\.jobs\.\w*|({celery})(,.*)?)")
    for path in SOURCES:
        if path.name == "queues.py":
            continue
        texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        found = [text for text in texts if isinstance(text, str) and pattern.fullmatch(text)]
        assert not found, f"{path}: {found}"


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse((ROOT / "scalepoint_integration" / "queues.py").read_text())
    assert [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)] == ["dataclasses"]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]


@pytest.mark.parametrize("job", queues.JOBS, ids=lambda job: job.name)
def test_every_job_is_documented(job: queues.Job) -> None:
    name = job.job.rpartition(".")[2]
    assert f"`{name}`" in (ROOT / "docs" / "embedding.md").read_text()
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert re.search(rf"-Q {re.escape(job.celery)}(?![\w-])", operations)
    if isinstance(job, queues.Periodic):
        often = {10.0: "every 10 s", 30.0: "every 30 s", 3600.0: "every hour"}[job.seconds]
        assert f"`{name}` {often}" in operations
