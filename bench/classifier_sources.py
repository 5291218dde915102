"""Macro-F1 of student and teacher on sources left out, with each step of the recipe alone and with all of them.

`python -m bench.classifier_sources FOLDER CACHE`. FOLDER holds labelled.parquet and training.parquet, and labelled2.parquet
and unlabelled2.parquet with the new sources; CACHE the embeddings, as `netcenter train --cache` keeps them. Each of the
seven recipes takes ten minutes on one core. Figures are of the scores as calibrated on the other sources.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.classify.port import LANGUAGES
from netcenter.training import leave_out
from netcenter.training.embeddings import Embeddings
from netcenter.training.figures import figures
from netcenter.training.student import FeatureTable, StudentSettings, tabulate
from netcenter.training.teacher import USUAL, TeacherSettings
from netcenter.training.training_rows import TrainingRows, read, thinned
from netcenter.training.word_vectors import vocabulary

BEFORE = StudentSettings(mix=0.5, penalty=1.0)
EVEN_BEFORE = TeacherSettings(evenly=1.0, penalty=20.0)
_ANSWERS = re.compile(
    r"\b(dm|md|mp|inbox)\b|mensaje (privado|directo)|mensagem (privada|direta)|direct message|nos (envie|chame|mande)"
    r"|env[ií]a(nos|rnos)|escr[ií]benos|ind[ií]canos|cont[aá]ctanos|lamentamos|sentimos (mucho|las molestias)"
    r"|we'?re (so )?sorry|please (follow|dm)|te ayud[ae]mos|podemos (te )?ajudar|gracias por (contactar|escribir)"
    r"|[-^/][A-Z]{2}\s*$",
    re.IGNORECASE,
)
"""What posts that a brand's own care team wrote have in common."""


def main(folder: Path, cache: Path) -> None:
    """Print a table of the recipes."""
    new = set(read([folder / "labelled2.parquet"]).source.tolist())
    labelled = [folder / "labelled.parquet", folder / "labelled2.parquet"]
    rows = read(labelled, [folder / "training.parquet", folder / "unlabelled2.parquet"])
    rows = thinned(rows, StudentSettings().most)
    embeddings = Embeddings(cache)
    ids, words = vocabulary(rows.text)
    table = tabulate(rows.text, embeddings.of(rows.text), ids, embeddings.of(words))
    one_set = replace(table, handle=np.zeros_like(table.handle))
    old, now = ~np.isin(rows.source, list(new)), StudentSettings()
    print("recipe; model; old sources, new ones: all, es, pt, en; accuracy; all without posts of brands")
    recipes: list[tuple[str, FeatureTable, StudentSettings, TeacherSettings, NDArray[np.bool_] | None]] = [
        ("as before", one_set, BEFORE, EVEN_BEFORE, old),
        ("new sources", one_set, BEFORE, EVEN_BEFORE, None),
        ("teacher's labels evened by half", one_set, BEFORE, USUAL, old),
        ("second set of weights", table, BEFORE, EVEN_BEFORE, old),
        ("second set, mix and penalty", table, now, EVEN_BEFORE, old),
        ("all, mix and penalty as before", table, BEFORE, USUAL, None),
        ("all", table, now, USUAL, None),
    ]
    for name, features, student, teacher, among in recipes:
        found = leave_out.answers(rows, features, student, teacher=teacher, among=among)
        for model, scores in (("student", found.student), ("teacher", found.teacher)):
            print(f"{name}; {model}; {_told(rows, scores, ~old)}", flush=True)


def _told(rows: TrainingRows, scores: NDArray[np.float64], new: NDArray[np.bool_]) -> str:
    known = rows.take(rows.measured)
    chances = leave_out.calibrated_on_others(known, scores[rows.measured])
    customers = np.array([not _ANSWERS.search(text) for text in known.text])
    parts = []
    for here in (~new[rows.measured], new[rows.measured]):
        of_all, of_customers = (
            figures(known.take(chosen), chances[chosen])["parts"] for chosen in (here, here & customers)
        )
        told = [_interval(of_all["all"]), *(f"{of_all[lang]['macro_f1']:.3f}" for lang in LANGUAGES if lang in of_all)]
        parts.append(", ".join([*told, f"{of_all['all']['accuracy']:.3f}", _interval(of_customers["all"])]))
    return "; ".join(parts)


def _interval(part: dict[str, Any]) -> str:
    """Macro-F1 and its 95 % interval."""
    low, high = part["macro_f1_95"]
    return f"{part['macro_f1']:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
