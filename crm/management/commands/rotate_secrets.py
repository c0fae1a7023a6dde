from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, models, router, transaction
from django.db.models.functions import Cast

from crm.secrets import EncryptedTextField, SecretUnreadable, is_current


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
