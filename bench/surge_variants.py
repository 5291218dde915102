"""The burst detector with one constant changed, made from its source."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from agents.surge import burst

#: The constants that are halved and doubled, with what they are.
CONSTANTS = {
    "SHORT": "bins of the short window",
    "LONG": "bins of the long window",
    "_NOW": "bins that say whether a burst goes on",
    "_HALVED": "bins after which the level has half forgotten",
    "_SETTLED": "bins after which a flood hardly teaches the level",
    "_STRAY": "deviations by which a bin may stray and still teach the level",
    "_ADDED": "posts added to both sides of a ratio",
    "_OFTEN": "share of bins that exceed the lower tracked value",
    "_SELDOM": "share of bins that exceed the higher tracked value",
    "_MEMORY": "bins over which the tracked values are learnt",
    "_START": "weight of a new series' tail, in bins",
    "_USUAL_OFTEN": "a usual brand's lower value",
    "_USUAL_SCALE": "a usual brand's scale",
    "_LEAST": "the least scale",
    "_HOUR_DAYS": "days over which an hour of the day is averaged",
    "_HOUR_TIMES": "how many times the level an hour of the day may be",
    "_MARGIN": "margin beside what several days reached",
    "_INDEPENDENT": "independent ratios",
}


@cache
def variant(name: str, factor: float) -> Any:
    """Return the class `Burst` with a constant multiplied; a constant that is a whole number stays one, at least 1."""
    source = Path(burst.__file__).read_text(encoding="utf-8")
    whole = isinstance(getattr(burst, name), int)
    made = rf"\1max(1, round((\2) * {factor}))" if whole else rf"\1(\2) * {factor}"
    if name in ("SHORT", "LONG"):
        both = {"SHORT": burst.SHORT, "LONG": burst.LONG}
        both[name] = round(both[name] * factor)
        made = f"SHORT, LONG = {both['SHORT']}, {both['LONG']}"
        changed, found = re.subn(r"^SHORT, LONG = .*$", made, source, flags=re.MULTILINE)
    else:
        changed, found = re.subn(rf"^({name} = )(.+)$", made, source, flags=re.MULTILINE)
    if found != 1:
        raise ValueError(f"{name} is set {found} times in {burst.__file__}")
    module = ModuleType(f"{burst.__name__}.{name}")
    # The classes of the module look their annotations up there.
    sys.modules[module.__name__] = module
    exec(compile(changed, burst.__file__, "exec"), module.__dict__)
    return module.Burst
