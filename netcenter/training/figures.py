"""Quality figures of a classifier, by language, label and source, with confidence intervals; as tables and as SVG."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.training_rows import TrainingRows

_DRAWS = 500
_BINS = 10


def figures(rows: TrainingRows, chances: NDArray[np.float64], seed: int = 0) -> dict[str, Any]:
    """Return the figures of labelled rows for probabilities of shape (rows, labels), as values that JSON can hold."""
    chosen = chances.argmax(axis=1)
    parts = {"all": np.ones(len(rows), bool)}
    parts |= {lang: rows.lang == at for at, lang in enumerate(LANGUAGES) if (rows.lang == at).any()}
    told = {name: _part(rows.label[here], chosen[here], chances[here], seed) for name, here in parts.items()}
    sources = {}
    for source in sorted(set(rows.source.tolist())):
        here = rows.source == source
        matrix = confusion(rows.label[here], chosen[here])
        sources[source] = {
            "rows": int(here.sum()),
            "accuracy": round(float(np.trace(matrix) / matrix.sum()), 3),
            "macro_f1": round(macro_f1(matrix), 3),
        }
    return {"parts": told, "sources": sources}


def _part(label: NDArray[np.int_], chosen: NDArray[np.int_], chances: NDArray[np.float64], seed: int) -> dict[str, Any]:
    matrix = confusion(label, chosen)
    right = chosen == label
    confidence = chances.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    unsure = order[len(order) - len(order) // 4 :]
    precision, recall, f1 = scores(matrix)
    random = np.random.default_rng(seed)
    drawn = [random.integers(0, len(label), len(label)) for _ in range(_DRAWS)]
    low, high = np.percentile([macro_f1(confusion(label[at], chosen[at])) for at in drawn], [2.5, 97.5])
    return {
        "rows": len(label),
        "accuracy": round(float(right.mean()), 3),
        "macro_f1": round(macro_f1(matrix), 3),
        "macro_f1_95": [round(float(low), 3), round(float(high), 3)],
        "labels": {
            name: {
                "precision": round(float(precision[at]), 3),
                "recall": round(float(recall[at]), 3),
                "f1": round(float(f1[at]), 3),
            }
            for at, name in enumerate(LABELS)
        },
        "calibration_error": round(calibration_error(confidence, right), 3),
        "accuracy_of_surest_half": round(float(right[order[: (len(order) + 1) // 2]].mean()), 3),
        "confidence_of_least_sure_quarter": round(float(confidence[unsure].max(initial=0)), 3),
        "mistakes_in_least_sure_quarter": round(float((~right[unsure]).sum() / max((~right).sum(), 1)), 3),
        "quarter_below": round(float(confidence[unsure].max(initial=0)), 4),
        "confusion": matrix.tolist(),
    }


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


def macro_f1(matrix: NDArray[np.int_]) -> float:
    """Return the mean F1 of the labels that occur as a true label or as an answer."""
    occur = matrix.sum(axis=0) + matrix.sum(axis=1) > 0
    return float(scores(matrix)[2][occur].mean())


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the mean distance between confidence and the share of right answers, over ten bins of confidence."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return float(sum(abs((confidence - right)[bins == at].sum()) for at in range(_BINS)) / len(right))


def tables(told: dict[str, Any]) -> list[Table]:
    """Return the figures as tables of at most 80 columns, for a terminal or a pipe."""
    main = _table("Quality", "", "rows", "accuracy", "macro F1", "95 %", "ECE", "surest\nhalf", "unsure\nquarter")
    by_label = _table("F1 of each label", "", *LABELS)
    detail = _table("Confusion", "", "label", "precision", "recall", "F1", *(f"as\n{name}" for name in LABELS))
    for name, part in told["parts"].items():
        low, high = part["macro_f1_95"]
        main.add_row(
            name,
            f"{part['rows']:,}",
            f"{part['accuracy']:.3f}",
            f"{part['macro_f1']:.3f}",
            f"{low:.3f}-{high:.3f}",
            f"{part['calibration_error']:.3f}",
            f"{part['accuracy_of_surest_half']:.3f}",
            f"{part['mistakes_in_least_sure_quarter']:.3f}",
        )
        by_label.add_row(name, *(f"{part['labels'][label]['f1']:.3f}" for label in LABELS))
        for label, row in zip(LABELS, part["confusion"], strict=True):
            one = part["labels"][label]
            detail.add_row(
                name, label, *(f"{one[kind]:.3f}" for kind in ("precision", "recall", "f1")), *(f"{n:,}" for n in row)
            )
    by_source = _table("By source", "source", "rows", "accuracy", "macro F1")
    for source, one in told["sources"].items():
        by_source.add_row(source, f"{one['rows']:,}", f"{one['accuracy']:.3f}", f"{one['macro_f1']:.3f}")
    return [main, by_label, detail, by_source]


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
