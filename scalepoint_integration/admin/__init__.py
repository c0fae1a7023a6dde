from scalepoint_integration.admin import case, connection, defaultvalues, event, insurer, outbound  # noqa: F401  they register their pages
