"""Scalepoint's cases in Django: the only app that knows Scalepoint. See docs/architecture.md."""
