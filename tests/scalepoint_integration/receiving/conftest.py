from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from tests.support.live import Site, site
from tests.support.world import World, make_world


@pytest.fixture(scope="session", params=["granian", "gunicorn"])
def web(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[Site]:
    """Each of the web servers on the test database, for all tests of the wire."""
    with django_db_blocker.unblock(), site() as started:
        started.web(server=request.param)
        yield started


@pytest.fixture
def served(transactional_db: None) -> World:
    """The world, committed, so that the web process sees it; and no refused tries counted from before."""
    cache.clear()
    return make_world()
