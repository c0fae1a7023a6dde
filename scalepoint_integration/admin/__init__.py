# They register their pages.
from scalepoint_integration.admin import (  # noqa: F401
    case,
    connection,
    defaultvalues,
    event,
    insurer,
    notice,
    outbound,
    overview,
    setup,
    testcase,
    usersettings,
)
