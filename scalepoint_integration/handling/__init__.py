"""What each type of event does. Which module handles which type stands in the table of events (events.py).

A handler gets the event, its parsed JSON and the current time, and works on the database alone, in the transaction
that also marks the event as handled. It may be called again for the same event, and events may come in any order.

What it raises says who must act (workqueue/rows.py). NeedsPerson is special: what the handler wrote before it, outside
savepoints of its own, is kept, so that the case with its problem can be seen.
"""
