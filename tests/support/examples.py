"""How many generated examples a property is tried on."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("NETCENTER_EXAMPLES", "1"))
"""Each property is tried on this many times its usual number of examples; `make fuzz` sets it to 20."""


def examples(count: int) -> settings:
    """Settings for `count` examples (times TIMES), with no limit on the time that an example takes."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
