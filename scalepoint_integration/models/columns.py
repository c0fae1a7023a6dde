"""Columns that the models of money share. Nobody types these: they hold what Scalepoint told."""

from typing import Any

from django.db import models


def money(label: Any = None) -> "models.DecimalField[Any, Any]":
    """An exact number, as payloads.reading.as_amount makes it; NULL where nothing was said."""
    return models.DecimalField(label, max_digits=18, decimal_places=4, null=True)


def text(label: Any = None, *, choices: Any = None) -> "models.TextField[str, str]":
    """A text of any length. With choices a value that isn't one of them is kept, and shown as it is: the vendor may
    add some."""
    return models.TextField(label, blank=True, choices=choices)
