"""Test cases: sent through the very endpoint that Scalepoint calls, marked as a test, and deleted again.

>>> sent = send(connection, insurer, "water")
>>> [step.text for step in steps(sent)]

A test case sends nothing itself: no mail, no call to Scalepoint. examples.py says what can be sent, send.py sends it,
outcome.py shows what came of it, cleanup.py deletes it.
"""
