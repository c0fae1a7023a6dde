"""A lock by name, for what no row stands for yet."""

import hashlib

from django.db import connections, router

from crm.models import Customer


def hold(name: str) -> None:
    """Let nobody else pass here with the same name until the transaction ends: look, then create, without a double.

    Only PostgreSQL has others at the same time; SQLite has one writer anyway.
    """
    connection = connections[router.db_for_write(Customer)]
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        key = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(key, signed=True)])
