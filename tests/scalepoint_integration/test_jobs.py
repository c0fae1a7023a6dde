"""Jobs leave no broken database connection behind. A real interruption: tests/faults/test_workers.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from crm.models import Team
from scalepoint_integration import jobs


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("broken", [True, False])
def test_a_connection_that_believes_to_be_in_a_transaction_is_forgotten(broken: bool) -> None:
    """As an interruption between two lines of Django's leaves it: nothing would be committed any more, nor closed."""

    def work() -> tuple[bool, bool]:
        connection.ensure_connection()
        before = connection.connection
        connection.in_atomic_block = True
        jobs._drop_connections(broken)
        Team.objects.create(name="Service")
        try:
            return before.closed, connection.in_atomic_block
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:  # connections belong to threads: the test keeps its own
        assert pool.submit(work).result() == (True, False)
    assert Team.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_good_connection_is_kept() -> None:
    def work() -> bool:
        connection.ensure_connection()
        before = connection.connection
        jobs._drop_connections(broken=False)
        try:
            return connection.connection is before and not before.closed
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result()
