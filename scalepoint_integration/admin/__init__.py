from scalepoint_integration.admin import case, connection, event, outbound, usersettings  # noqa: F401  they register their pages
