"""The periodic work, without Celery: sweep what rings missed, watch for silence, prune by retention."""
