"""Posts for training or evaluation as columns, read from Parquet, CSV or JSON lines."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.classify.port import LABELS, LANGUAGES
from netcenter.errors import UsageError

#: Words with which published corpora replace links and handles.
_LINK = re.compile(r"\b(?:URL|http)\b(?!:)")
_HANDLE = re.compile(r"\bUSER\b")
_FIELDS = ("text", "lang", "label", "source", "brand", "weight")
_SAME: Mapping[str, str] = MappingProxyType({})
UNLABELLED = -1
SEEDS = "seeds"
"""The source of made posts, which netcenter/training/seeds.py adds."""


@dataclass(frozen=True)
class TrainingRows:
    """Posts as columns of equal length; lang and label are positions in LANGUAGES and LABELS.

    Corrections may have a lang beyond LANGUAGES, the position of `und` in ANSWER_LANGUAGES.
    """

    text: list[str]
    lang: NDArray[np.int_]
    label: NDArray[np.int_]
    """UNLABELLED for a row without a label."""
    source: NDArray[np.str_]
    brand: list[str]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.text)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """A mask of the rows that have a label."""
        return np.asarray(self.label != UNLABELLED)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """A mask of the rows with a label that customers wrote: all labelled rows but the seeds."""
        return np.asarray(self.labelled & (self.source != SEEDS))

    def take(self, mask: NDArray[np.bool_]) -> TrainingRows:
        """Return the rows that the mask selects."""
        at = np.flatnonzero(mask)
        return TrainingRows(
            [self.text[i] for i in at],
            self.lang[at],
            self.label[at],
            self.source[at],
            [self.brand[i] for i in at],
            self.weight[at],
        )


def joined(first: TrainingRows, second: TrainingRows) -> TrainingRows:
    """Return the rows of both, in order."""
    return TrainingRows(
        first.text + second.text,
        np.concatenate([first.lang, second.lang]),
        np.concatenate([first.label, second.label]),
        np.concatenate([first.source, second.source]),
        first.brand + second.brand,
        np.concatenate([first.weight, second.weight]),
    )


def thinned(rows: TrainingRows, most: int) -> TrainingRows:
    """Return the rows with at most `most` unlabelled posts of each source.

    The posts are chosen by the hash of their texts, so the order of the rows makes no difference.
    """
    kept = rows.labelled.copy()
    for source in sorted(set(rows.source.tolist())):
        mine = np.flatnonzero((rows.source == source) & ~rows.labelled)
        order = sorted(mine.tolist(), key=lambda at: hashlib.sha256(rows.text[at].encode("utf-8", "replace")).digest())
        kept[order[:most]] = True
    return rows.take(kept)


def read(labelled: Iterable[Path], unlabelled: Iterable[Path] = (), columns: Mapping[str, str] = _SAME) -> TrainingRows:
    """Return the rows of files with the columns text, lang and label, and optionally weight, source and brand.

    columns: by field, the name of its column where that is another. Labels in `unlabelled` files are ignored, and so are
    posts that a labelled file holds too. Raises UsageError naming file, row and field.
    """
    if foreign := sorted(set(columns) - set(_FIELDS)):
        raise UsageError(f"--map {', '.join(foreign)}: no such field; there are {', '.join(_FIELDS)}")
    found = [row for path in labelled for row in _rows(path, columns, labels=True)]
    seen = {row["text"] for row in found}
    for path in unlabelled:
        for row in _rows(path, columns, labels=False):
            if row["text"] not in seen:
                seen.add(row["text"])
                found.append(row)
    if not found:
        raise UsageError("no row was given: name a file with the columns text, lang and label")
    return made(found)


def made(rows: Sequence[dict[str, Any]]) -> TrainingRows:
    """Return rows from dicts with text, lang and label (positions), source, brand and weight."""
    return TrainingRows(
        [_HANDLE.sub("@user", _LINK.sub("https://link", row["text"])) for row in rows],
        np.array([row["lang"] for row in rows], int),
        np.array([row["label"] for row in rows], int),
        np.array([row["source"] for row in rows], str),
        [row["brand"] for row in rows],
        np.array([row["weight"] for row in rows], float),
    )


def _rows(path: Path, columns: Mapping[str, str], labels: bool) -> list[dict[str, Any]]:
    rows = []
    for number, values in enumerate(_given(path), 1):
        given = {name: values.get(columns.get(name, name)) for name in _FIELDS}
        try:
            rows.append(_row(given, path.stem, labels))
        except KeyError as missing:
            (name,) = missing.args
            column = columns.get(name, name)
            said = name if column == name else f"{name} (column {column!r})"
            there = ", ".join(map(str, values)) or "none"
            raise UsageError(
                f"{path}: row {number}: {said} is missing: the columns text, lang and label are needed; there are {there}; "
                f"say which column it is: --map {name}=COLUMN"
            ) from None
        except ValueError as error:
            raise UsageError(f"{path}: row {number}: {error}") from None
    return rows


def _row(given: Mapping[str, Any], source: str, labels: bool) -> dict[str, Any]:
    """A row of a file's fields. Raises KeyError for a field that is missing, and ValueError that says what is wrong."""
    row = {
        "text": _field(given, "text"),
        "lang": _place(given, "lang", LANGUAGES),
        "label": _place(given, "label", LABELS) if labels else UNLABELLED,
        "source": str(given["source"] or source),
        "brand": str(given["brand"] or ""),
    }
    try:
        row["weight"] = float(given["weight"] or 1)
    except ValueError:
        raise ValueError("weight is no number") from None
    return row


def _field(given: Mapping[str, Any], name: str) -> str:
    value = given[name]
    if not isinstance(value, str):
        raise KeyError(name)
    return value


def _place(given: Mapping[str, Any], name: str, among: tuple[str, ...]) -> int:
    value = _field(given, name)
    if value not in among:
        raise ValueError(f"{name} {value[:40]!r} must be one of {', '.join(among)}")
    return among.index(value)


def _given(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return found
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file))
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except ImportError:
        raise UsageError(f"{path}: Parquet is read with pyarrow: install netcenter[train], or give CSV") from None
    except ValueError as error:
        raise UsageError(
            f"{path}: not CSV with commas in UTF-8, or JSON lines ({type(error).__name__}): save it so, or give Parquet"
        ) from None
