from scalepoint_integration.admin import case, connection, defaultvalues, event, outbound  # noqa: F401  they register their pages
