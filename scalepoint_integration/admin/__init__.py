# They register their pages.
from scalepoint_integration.admin import (  # noqa: F401
    case,
    connection,
    event,
    outbound,
    overview,
    setup,
    testcase,
    usersettings,
)
