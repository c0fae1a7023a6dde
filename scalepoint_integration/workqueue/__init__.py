"""The queue that is a table: ``rows`` claim, finish, fail and come due again; ``doorbell`` is the broker.

>>> from scalepoint_integration.workqueue import NeedsPerson      # what a host's handler or adapter raises
"""

from scalepoint_integration.workqueue.rows import (
    Item,
    LeaseLost,
    NeedsPerson,
    NotForUs,
    PermanentError,
    QueueError,
    QueueItem,
    RetryableError,
    claim,
    fail,
    finish,
    give_up,
    release,
    retry,
    told,
)

__all__ = [
    "Item",
    "LeaseLost",
    "NeedsPerson",
    "NotForUs",
    "PermanentError",
    "QueueError",
    "QueueItem",
    "RetryableError",
    "claim",
    "fail",
    "finish",
    "give_up",
    "release",
    "retry",
    "told",
]
