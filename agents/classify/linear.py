"""Linear scores over hashed features, with weights in whole numbers so that every sum is exact."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Linear:
    """Linear scores of each class: the sum of the weights of a text's known features, divided by the square root of their
    number, plus an intercept.

    A part may have a second set of weights, for posts that begin with a handle. Weights are whole multiples of `step`, so
    that sums are exact. Neither the order of the features nor the size of a batch nor the processor changes a score.
    """

    def __init__(self, archive: Mapping[str, NDArray[Any]], name: str, classes: int) -> None:
        """Reads one part of an artefact: ids (n, ascending), weights (n, classes), intercept (classes) and step, and, where
        the part has it, handle_weights (n, classes).

        Raises ValueError where the arrays do not fit together.
        """
        self._ids: NDArray[np.uint32] = archive[f"{name}_ids"]
        weights: NDArray[np.int16] = archive[f"{name}_weights"]
        second: NDArray[np.int16] | None = archive.get(f"{name}_handle_weights")
        self._intercept: NDArray[np.float64] = archive[f"{name}_intercept"]
        self._step = float(archive[f"{name}_step"])
        shapes = (self._ids.shape, weights.shape, self._intercept.shape)
        types = [array.dtype.name for array in (self._ids, weights, self._intercept)]
        count = len(self._ids)
        if count == 0 or shapes != ((count,), (count, classes), (classes,)):
            raise ValueError(f"the arrays of {name} do not fit together: {shapes}")
        if types != ["uint32", "int16", "float64"] or not (self._ids[1:] > self._ids[:-1]).all():
            raise ValueError(f"the arrays of {name} have other types ({types}), or its ids are not ascending")
        if second is not None and (second.shape, second.dtype.name) != (weights.shape, "int16"):
            raise ValueError(f"the second weights of {name} do not fit: {second.shape}, {second.dtype.name}")
        unknown = np.zeros((1, classes), np.int16)
        self._weights = np.vstack([weights, unknown] if second is None else [weights, unknown, second, unknown])
        self._second = 0 if second is None else count + 1
        """The row at which the second set begins; 0 where there is none."""

    def scores(self, texts: Sequence[set[int]], handles: Sequence[bool] = ()) -> NDArray[np.float64]:
        """Scores of shape (texts, classes) for the features of each text. handles[i]: text i begins with a handle."""
        sizes = np.fromiter(map(len, texts), np.intp, len(texts))
        ends = np.concatenate([[0], np.cumsum(sizes)])
        rows = self._rows(np.fromiter(chain.from_iterable(texts), np.uint32, ends[-1]))
        norms = np.sqrt(np.maximum(_sums((rows < len(self._ids))[:, None], ends), 1))
        if self._second and len(handles):
            rows += np.repeat(np.array(handles, np.intp) * self._second, sizes)
        return _sums(self._weights[rows], ends) * self._step / norms + self._intercept

    def shares(self, features: Sequence[int], handle: bool = False) -> NDArray[np.float64]:
        """What each feature of one text adds to the text's scores. Shape (features, classes)."""
        rows = self._rows(np.array(features, np.uint32))
        known = max(int((rows < len(self._ids)).sum()), 1)
        return np.asarray(self._weights[rows + handle * self._second] * self._step / np.sqrt(known))

    def _rows(self, wanted: NDArray[np.uint32]) -> NDArray[np.int_]:
        """The index of the row of weights of each id. An unknown id gets the last row, which is zeros."""
        rows = np.searchsorted(self._ids, wanted)
        rows[self._ids[np.minimum(rows, len(self._ids) - 1)] != wanted] = len(self._ids)
        return rows


def _sums(values: NDArray[np.generic], ends: NDArray[np.int_]) -> NDArray[np.int64]:
    """The sums of whole numbers of shape (n, k) over the ranges ends[i]:ends[i + 1], which may be empty."""
    totals = np.zeros((len(values) + 1, values.shape[1]), np.int64)
    np.cumsum(values, axis=0, dtype=np.int64, out=totals[1:])
    return totals[ends[1:]] - totals[ends[:-1]]
