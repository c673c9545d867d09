"""Which plug-ins of others may this process load? All, or those that PSK_PLUGINS lists."""

from __future__ import annotations

import os

from psk.plugins.importing import on_demand

VARIABLE = "PSK_PLUGINS"


def is_allowed(entry_point: str) -> bool:
    """Tell whether the plug-in of an entry point, as in `connector.redis`, may load.

    PSK_PLUGINS lists entry points, separated by commas, `*` standing for anything: `connector.redis,observer.*`.
    Unset it allows all, empty it allows none. What psk-core brings itself is always there.
    """
    listed = os.environ.get(VARIABLE)
    if listed is None:
        return True
    with on_demand:
        from fnmatch import fnmatchcase

    return any(fnmatchcase(entry_point, pattern.strip()) for pattern in listed.split(","))
