from scalepoint_integration.admin import (  # noqa: F401  they register their pages
    case,
    connection,
    event,
    outbound,
    setup,
)
