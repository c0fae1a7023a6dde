from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, models, router, transaction
from django.db.models.functions import Cast

from crm.encryption import EncryptedTextField, SecretUnreadable, decrypt_bytes, encrypt_bytes, is_current

# Rows of content that are held in memory, and locked, at once.
BATCH = 20


class Command(BaseCommand):
    help = (
        "Encrypt and digest everything secret with the first key. Run it after a new key was put first, and only then "
        "take the old key away. It may be stopped and run again: what is done is passed over."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        failed = 0
        for model in apps.get_models():
            for field in model._meta.local_concrete_fields:
                if isinstance(field, EncryptedTextField) and model._meta.managed and not model._meta.proxy:
                    failed += self._rotate(model, field)
            for name in getattr(model, "ENCRYPTED", ()):
                failed += self._rotate_bytes(model, name)
        if failed:
            raise CommandError(f"{failed} could not be encrypted anew. Keep the old keys until they can.")

    def _rotate(self, model: type[models.Model], field: EncryptedTextField) -> int:
        rows = model._base_manager.using(router.db_for_write(model))
        # As text of the database: the field itself would hand out the plain value.
        stored = rows.annotate(stored=Cast(field.name, models.TextField())).values_list("pk", "stored")
        done = current = failed = 0
        for pk, text in stored.order_by("pk").iterator(chunk_size=500):
            if not text or is_current(text):
                current += 1
                continue
            try:
                with transaction.atomic(using=rows.db):
                    # A whole save: the model itself knows which digest belongs to its secret.
                    for row in rows.select_for_update().filter(pk=pk):
                        row.save()
                done += 1
            except (SecretUnreadable, ValidationError, IntegrityError) as error:
                failed += 1
                self.stderr.write(f"{model._meta.label} {pk}: {error}")
        self.stdout.write(
            f"{model._meta.label}.{field.name}: {done} encrypted anew, {current} up to date, {failed} failed"
        )
        return failed

    def _rotate_bytes(self, model: type[models.Model], name: str) -> int:
        """A column of bytes, a batch at a time; what was stored in clear is encrypted too."""
        rows = model._base_manager.using(router.db_for_write(model))
        done = current = failed = last = 0
        while True:
            with transaction.atomic(using=rows.db):
                batch = rows.select_for_update().filter(pk__gt=last).exclude(**{name: None}).only("pk", name)
                found = list(batch.order_by("pk")[:BATCH])
                stale = [row for row in found if not is_current(bytes(getattr(row, name)))]
                anew = []
                for row in stale:
                    try:
                        setattr(row, name, encrypt_bytes(decrypt_bytes(bytes(getattr(row, name)))))
                        anew.append(row)
                    except SecretUnreadable as error:
                        failed += 1
                        self.stderr.write(f"{model._meta.label} {row.pk}: {error}")
                rows.bulk_update(anew, [name])
            if not found:
                break
            done, current, last = done + len(anew), current + len(found) - len(stale), found[-1].pk
        self.stdout.write(f"{model._meta.label}.{name}: {done} encrypted anew, {current} up to date, {failed} failed")
        return failed
