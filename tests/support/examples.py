"""How many generated examples a property is tried on."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# On a busy machine any example may take long, and the size of an example is no fault: for every property.
settings.register_profile(
    "netcenter", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("netcenter")

TIMES = int(os.environ.get("NETCENTER_EXAMPLES", "1"))
"""Each property is tried on this many times its usual number of examples; `make fuzz` sets it to 20."""


def examples(count: int) -> settings:
    """Settings for `count` examples (times TIMES)."""
    return settings(max_examples=count * TIMES)
