from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage

from tasks.models import TaskImage


@pytest.fixture(autouse=True)
def private_files(tmp_path: Path) -> Iterator[Path]:
    """The storage of the pictures, empty, for one test."""
    fields = [TaskImage._meta.get_field(name) for name in ("file", "thumbnail")]
    before = [field.storage for field in fields]
    for field in fields:
        field.storage = FileSystemStorage(location=tmp_path)
    yield tmp_path
    for field, storage in zip(fields, before, strict=True):
        field.storage = storage
