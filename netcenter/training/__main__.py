"""Trains the classifier and writes its artefact: python -m netcenter.training."""

import argparse
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray

from agents.classify.features import VERSION
from agents.classify.model import FORMAT, LANGUAGES, Model
from netcenter.training.learning import (
    INVERSE_PENALTY,
    MIN_ROWS,
    WEAK_WEIGHT,
    Linear,
    fit_labels,
    fit_language,
    read,
)
from netcenter.training.measure import measure, table


def main() -> None:
    """Read the corpora, measure, train on everything and write <first 16 of its hash>.npz."""
    parser = argparse.ArgumentParser(prog="python -m netcenter.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled.parquet and training.parquet")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the artefact to")
    arguments = parser.parse_args()
    corpus = read(arguments.data)
    temperature, metrics = measure(corpus)
    print(table(metrics))
    print(f"temperature {temperature}; calibration {metrics['calibration']}")
    everything = np.ones(len(corpus.label), bool)
    parts = {lang: fit_labels(corpus, everything, at) for at, lang in enumerate(LANGUAGES)}
    meta = {
        "format": FORMAT,
        "features": VERSION,
        "sources": sorted(set(corpus.source.tolist())),
        "rows": {"judged": int(corpus.judged.sum()), "weak": int((~corpus.judged).sum())},
        "settings": {"inverse_penalty": INVERSE_PENALTY, "min_rows": MIN_ROWS, "weak_weight": WEAK_WEIGHT},
        "temperature": temperature,
        "metrics": metrics,
        "made_with": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
    }
    arrays = {"meta": np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)}
    for name, linear in parts.items():
        arrays |= packed(name, linear, corpus.ids, temperature)
    arrays |= packed("language", fit_language(corpus, everything), corpus.ids, 1.0)
    buffer = io.BytesIO()
    # savez dates every member 1980-01-01, so the same weights give the same bytes.
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    path = arguments.out / f"{hashlib.sha256(content).hexdigest()[:16]}.npz"
    path.write_bytes(content)
    print(f"{path}: {len(content):,} bytes, hash {Model.load(path).hash}")


def packed(name: str, linear: Linear, ids: NDArray[np.uint32], temperature: float) -> dict[str, NDArray[Any]]:
    """A linear part as the model reads it: weights divided by the temperature, as whole numbers of a step."""
    step = np.abs(linear.weights).max() / temperature / np.iinfo(np.int16).max
    return {
        f"{name}_ids": ids[linear.columns],
        f"{name}_weights": np.round(linear.weights / temperature / step).astype(np.int16),
        f"{name}_intercept": linear.intercept / temperature,
        f"{name}_step": np.array(step),
    }


if __name__ == "__main__":
    main()
