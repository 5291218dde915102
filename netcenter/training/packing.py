"""Writes artefacts: the same weights give the same bytes, and so the same hash."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.classify.features import VERSION
from agents.classify.model import FORMAT
from netcenter.disk import writing


def part(
    name: str,
    ids: NDArray[np.uint32],
    weights: NDArray[np.float64],
    intercept: NDArray[np.float64],
    handle_weights: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a linear part as the model reads them; a weight is a 16-bit multiple of the step.

    handle_weights: the second set, for posts that begin with a handle, where the part has one.
    """
    second = {} if handle_weights is None else {f"{name}_handle_weights": handle_weights}
    widest = max(float(np.abs(one).max()) for one in (weights, *second.values()))
    step = max(widest, 1e-9) / np.iinfo(np.int16).max
    sets = {f"{name}_weights": weights, **second}
    return {
        f"{name}_ids": ids,
        **{member: np.round(one / step).astype(np.int16) for member, one in sets.items()},
        f"{name}_intercept": intercept,
        f"{name}_step": np.array(step),
    }


def write(arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any], folder: Path) -> Path:
    """Write the artefact into folder as <first 16 hex digits of its SHA-256>.npz and return its path."""
    told = {"format": FORMAT, "features": VERSION, **meta}
    members = {"meta": np.frombuffer(json.dumps(told, sort_keys=True).encode(), np.uint8), **arrays}
    buffer = io.BytesIO()
    # np.savez gives every member the date 1980-01-01, so the bytes do not depend on the time.
    np.savez(buffer, allow_pickle=False, **members)
    content = buffer.getvalue()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.npz"
    part = path.with_suffix(".part")
    with writing(folder, "--out"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path
