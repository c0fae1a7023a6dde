"""Where Scalepoint's JSON ends: bytes become frozen dataclasses. Pure, no database, no network.

strict_json.py what counts as JSON; envelope.py the fields every event shares, and its identity; reading.py lenient
access to what senders write; then a module per family of events.
"""
