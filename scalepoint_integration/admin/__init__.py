from scalepoint_integration.admin import case, connection, event, outbound, overview  # noqa: F401  they register their pages
