"""Quality figures of a classifier, by language, label and source, with confidence intervals; as tables and as SVG."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.training_rows import TrainingRows

FEW = 30
"""With fewer posts of a label, a warning says that its figures say little."""
_DRAWS = 500
_BINS = 10
_KINDS = ("precision", "recall", "f1")


def figures(rows: TrainingRows, chances: NDArray[np.float64], seed: int = 0) -> dict[str, Any]:
    """Return the figures of labelled rows for probabilities of shape (rows, labels), as values that JSON can hold.

    Beside each figure stands its 95 % interval, with `_95` at the end of its name, from draws of the rows that the seed
    makes. `warnings` are sentences about labels with too few rows to be measured.
    """
    parts = {"all": np.ones(len(rows), bool)}
    parts |= {lang: rows.lang == at for at, lang in enumerate(LANGUAGES) if (rows.lang == at).any()}
    told = {name: _part(rows.label[here], chances[here], seed) for name, here in parts.items()}
    sources = {}
    for source in sorted(set(rows.source.tolist())):
        here = rows.source == source
        whole = _with_intervals(rows.label[here], chances[here], seed)
        names = ("accuracy", "macro_f1")
        sources[source] = {"rows": int(here.sum())} | {key: whole[key] for one in names for key in (one, f"{one}_95")}
    warnings = [
        f"{name}: {label} has {one['rows']:,} posts, so its figures say little: label {FEW} or more"
        for name, part in told.items()
        for label, one in part["labels"].items()
        if one["rows"] < FEW
    ]
    return {"parts": told, "sources": sources, "warnings": warnings}


def _part(label: NDArray[np.int_], chances: NDArray[np.float64], seed: int) -> dict[str, Any]:
    matrix = confusion(label, chances.argmax(axis=1))
    whole = _with_intervals(label, chances, seed)
    labels: dict[str, dict[str, Any]] = {
        name: {"rows": int(row.sum())} for name, row in zip(LABELS, matrix, strict=True)
    }
    for name, one in labels.items():
        for kind in _KINDS:
            one |= {f"{kind}{end}": whole.pop(f"{name} {kind}{end}") for end in ("", "_95")}
    confidence = chances.max(axis=1)
    return {
        "rows": len(label),
        **whole,
        "labels": labels,
        "confidence_of_least_sure_quarter": round(float(confidence[_order(confidence)[1]].max(initial=0)), 4),
        "confusion": matrix.tolist(),
    }


def _with_intervals(label: NDArray[np.int_], chances: NDArray[np.float64], seed: int) -> dict[str, Any]:
    """Return each figure, and its 95 % interval over draws of the rows under its name with `_95`."""
    chosen, confidence = chances.argmax(axis=1), chances.max(axis=1)
    random = np.random.default_rng(seed)
    whole = _measured(label, chosen, confidence)
    drawn = (random.integers(0, len(label), len(label)) for _ in range(_DRAWS))
    found = [_measured(label[at], chosen[at], confidence[at]) for at in drawn]
    low, high = np.percentile([list(one.values()) for one in found], [2.5, 97.5], axis=0)
    told: dict[str, Any] = {}
    for name, least, most in zip(whole, low, high, strict=True):
        told |= {name: round(whole[name], 3), f"{name}_95": [round(float(least), 3), round(float(most), 3)]}
    return told


def _measured(label: NDArray[np.int_], chosen: NDArray[np.int_], confidence: NDArray[np.float64]) -> dict[str, float]:
    """Return the figures of answers; those of one label have the label before their name."""
    matrix, right = confusion(label, chosen), chosen == label
    surest, unsure = _order(confidence)
    by_label = {
        f"{name} {kind}": float(values[at])
        for kind, values in zip(_KINDS, scores(matrix), strict=True)
        for at, name in enumerate(LABELS)
    }
    return {
        "accuracy": float(right.mean()),
        "macro_f1": macro_f1(matrix),
        "macro_f1_without_other": macro_f1(matrix, LABELS.index("other")),
        "calibration_error": calibration_error(confidence, right),
        "accuracy_of_surest_half": float(right[surest].mean()),
        "mistakes_in_least_sure_quarter": float((~right[unsure]).sum() / max((~right).sum(), 1)),
    } | by_label


def _order(confidence: NDArray[np.float64]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the positions of the surest half of the answers, and of the least sure quarter."""
    order = np.argsort(-confidence, kind="stable")
    return order[: (len(order) + 1) // 2], order[len(order) - len(order) // 4 :]


def confusion(label: NDArray[np.int_], chosen: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return counts of shape (labels, labels): the row is the true label, the column the answer."""
    count = len(LABELS)
    return np.bincount(label * count + chosen, minlength=count * count).reshape(count, count)


def scores(matrix: NDArray[np.int_]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (precision, recall, F1), each with a value for every label."""
    hit = np.diag(matrix).astype(float)
    precision = hit / np.maximum(matrix.sum(axis=0), 1)
    recall = hit / np.maximum(matrix.sum(axis=1), 1)
    return precision, recall, 2 * hit / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1)


def macro_f1(matrix: NDArray[np.int_], without: int | None = None) -> float:
    """Return the mean F1 of the labels that occur as a true label or as an answer, but for the label `without`."""
    occur = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    if without is not None:
        occur[without] = False
    return float(scores(matrix)[2][occur].mean()) if occur.any() else 0.0


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the mean distance between confidence and the share of right answers, over ten bins of confidence."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return float(sum(abs((confidence - right)[bins == at].sum()) for at in range(_BINS)) / len(right))


def tables(told: dict[str, Any]) -> list[Table]:
    """Return the figures as tables of at most 80 columns, for a terminal or a pipe. A figure stands before its interval."""
    main = _table("Quality, with 95 % intervals", "", "posts", "accuracy", "macro F1", "macro F1\nwithout other")
    surety = _table(
        "Confidence", "", "calibration\nerror", "right in the\nsurest half", "mistakes in the\nunsure quarter"
    )
    by_label = _table("Labels", "", "label", "posts", "precision", "recall", "F1")
    detail = _table("Confusion", "", "label", *(f"as\n{name}" for name in LABELS))
    for name, part in told["parts"].items():
        main.add_row(name, f"{part['rows']:,}", *_cells(part, "accuracy", "macro_f1", "macro_f1_without_other"))
        shown = ("calibration_error", "accuracy_of_surest_half", "mistakes_in_least_sure_quarter")
        surety.add_row(name, *_cells(part, *shown))
        for label, row in zip(LABELS, part["confusion"], strict=True):
            one = part["labels"][label]
            by_label.add_row(name, label, f"{one['rows']:,}", *_cells(one, *_KINDS))
            detail.add_row(name, label, *(f"{n:,}" for n in row))
    by_source = _table("By source", "source", "posts", "accuracy", "macro F1")
    for source, one in told["sources"].items():
        by_source.add_row(source, f"{one['rows']:,}", *_cells(one, "accuracy", "macro_f1"))
    return [main, surety, by_label, detail, by_source]


def _cells(told: dict[str, Any], *names: str) -> list[str]:
    """Return each figure with its interval: .668 .657-.677."""
    return [" ".join((_short(told[name]), "-".join(map(_short, told[f"{name}_95"])))) for name in names]


def _short(share: float) -> str:
    return f"{share:.3f}".removeprefix("0")


def _table(title: str, *columns: str) -> Table:
    """A table without a frame, whose words are at the left and whose numbers are at the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for n, column in enumerate(columns):
        words = n == 0 or column == "label"
        table.add_column(column, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    return table


def picture(told: dict[str, Any]) -> str:
    """Return the confusion matrices side by side as SVG: a row is a true label, a shade is the share of its row."""
    cell, margin, count = 58, 90, len(LABELS)
    wide, high = margin + cell * count + 20, margin + cell * count + 10
    parts = list(told["parts"].items())
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide * len(parts)}" height="{high}" '
        'font-family="sans-serif" font-size="12">'
    ]
    for place, (name, part) in enumerate(parts):
        left = place * wide + margin
        out.append(f'<text x="{left}" y="20" font-weight="bold">{escape(name)}: {part["rows"]:,} posts</text>')
        for column, label in enumerate(LABELS):
            out.append(f'<text x="{left + column * cell + 2}" y="{margin - 8}" font-size="10">{label}</text>')
        for row, label in enumerate(LABELS):
            top, total = margin + row * cell, max(sum(part["confusion"][row]), 1)
            out.append(f'<text x="{left - 6}" y="{top + cell / 2 + 4}" text-anchor="end">{label}</text>')
            for column, posts in enumerate(part["confusion"][row]):
                share = posts / total
                ink = "#fff" if share > 0.55 else "#000"
                x = left + column * cell
                out.append(
                    f'<rect x="{x}" y="{top}" width="{cell - 2}" height="{cell - 2}" fill="#1f5fa8" '
                    f'fill-opacity="{0.04 + 0.96 * share:.3f}"/>'
                    f'<text x="{x + cell / 2}" y="{top + cell / 2 + 4}" text-anchor="middle" fill="{ink}">{posts}</text>'
                )
    out.append("</svg>")
    return "\n".join(out) + "\n"
