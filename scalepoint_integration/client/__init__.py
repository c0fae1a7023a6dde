"""The only code that calls Scalepoint. Everybody else uses these five functions and never sees HTTP or a token.

>>> from scalepoint_integration import client
>>> client.send(connection, "payment_status_updated", {...})
Answer(status=200, text="")

calls.py what can be called; token.py how we prove who we are; web.py one HTTP request and what its answer means.

What they raise says who must act: RetryableError SP-401 (Scalepoint is away or busy), PermanentError SP-402 (our
login), SP-403 (no access), SP-404 (it no longer knows where we stopped), SP-405 (it did not accept what we sent) and
SP-409 (something is missing on the connection). Nothing here retries, the queues do that;
but for one fresh token after a 401.

Nothing here counts calls. A limit is documented for the deletion of cases alone, which is never called; everywhere
else Scalepoint says when it is too much (429, 503, Retry-After), and that is honoured.
"""

from scalepoint_integration.client.calls import (
    Batch,
    receive,
    send,
    settlement,
    submit_expense,
    submit_file,
)
from scalepoint_integration.client.web import Answer

__all__ = ["Answer", "Batch", "receive", "send", "settlement", "submit_expense", "submit_file"]
