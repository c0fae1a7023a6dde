from scalepoint_integration.admin import case, connection, event, outbound, testcase  # noqa: F401  they register their pages
