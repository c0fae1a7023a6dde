"""What goes out and in which words: to Scalepoint (outbox.py, bodies.py), and by mail (notifications.py).

What a host's own code may ask to be sent is named here: each writes a row, or answers None where its switch is off.
"""

from scalepoint_integration.sending.outbox import (
    send_case_number,
    send_case_number_failed,
    send_expense,
    send_file,
    send_message,
    send_payment_status,
)

__all__ = [
    "send_case_number",
    "send_case_number_failed",
    "send_expense",
    "send_file",
    "send_message",
    "send_payment_status",
]
