"""Microseconds a post of each stage of the classifier, and of scikit-learn's TF-IDF and fastText on the same posts.

`python -m bench.classifier FILE.csv` takes the column `text` of a file instead of the story's posts.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agents.classify.features import features, tokens
from agents.classify.model import ARTEFACTS, Model, artefact
from agents.policy import parse
from bench.flow import policy_text
from bench.same_job import PEERS, ROOT
from bench.whole_path import mentions

ITEMS = 5_000
ROUNDS = 7
BATCH = 500


def measure(texts: Sequence[str]) -> dict[str, Any]:
    """Return microseconds a post by stage and by peer."""
    model = loaded()
    answers = model.classify(texts, [""] * len(texts), [""] * len(texts))
    langs = [answer.lang for answer in answers]
    found = [features(text) for text in texts]
    stages = {
        "normalise: tokens": timed(lambda part: [tokens(texts[at]) for at in part], len(texts)),
        "features, normalising included": timed(lambda part: [features(texts[at]) for at in part], len(texts)),
        "score": timed(lambda part: model._labels.scores([found[at] for at in part]), len(texts)),
        "classify, the post's own language": timed(lambda part: _whole(model, texts, langs, part), len(texts)),
        "classify, language told": timed(lambda part: _whole(model, texts, [""] * len(texts), part), len(texts)),
    }
    rows = [{"text": text, "label": answer.label} for text, answer in zip(texts, answers, strict=True)]
    done = subprocess.run(
        [str(PEERS), str(ROOT / "bench" / "peers" / "classifiers.py"), str(ROUNDS), str(BATCH)],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        **{f"{name}, us": value for name, value in stages.items()},
        **{f"{name}, us": value for name, value in json.loads(done.stdout).items()},
        **_alone(model, texts),
        "mean characters": round(statistics.mean(map(len, texts)), 1),
    }


def timed(work: Callable[[range], Any], count: int) -> float:
    """Return microseconds an item: the median of the rounds, in batches."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for at in range(0, count, BATCH):
            work(range(at, min(at + BATCH, count)))
        rounds.append((time.perf_counter() - start) / count * 1e6)
    return round(statistics.median(rounds), 2)


def loaded() -> Model:
    """Return the classifier that the default policy names."""
    path = artefact(parse(policy_text(), 1).classifier.model, ARTEFACTS)
    if path is None:
        raise FileNotFoundError("the classifier that the policy names is not in agents/classify/artefacts")
    return Model.load(path)


def story() -> list[str]:
    """Return the texts of the story's posts."""
    return [post.text for post in mentions(ITEMS)]


def _whole(model: Model, texts: Sequence[str], langs: Sequence[str], part: range) -> None:
    chosen = slice(part.start, part.stop)
    model.classify(texts[chosen], langs[chosen], [""] * len(part))


_ALONE = """
import json, sys, time
start = time.perf_counter()
from pathlib import Path
from agents.classify.model import Model
model = Model.load(Path(sys.argv[1]))
started = time.perf_counter() - start
texts, batch = json.load(sys.stdin), int(sys.argv[2])
for at in range(0, len(texts), batch):
    part = texts[at : at + batch]
    model.classify(part, [""] * len(part), [""] * len(part))
import psutil
print(json.dumps([started, psutil.Process().memory_info().rss / 2**20]))
"""


def _alone(model: Model, texts: Sequence[str]) -> dict[str, float]:
    """Measure start time and memory of a process that loads the classifier alone."""
    path = artefact(model.hash, ARTEFACTS)
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(path), str(BATCH)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    started, resident = json.loads(done.stdout)
    return {"imported and loaded, s": round(started, 2), "resident, MB": round(resident, 1)}


def main() -> None:
    """Print the figures as JSON."""
    texts = story()
    if len(sys.argv) > 1:
        with Path(sys.argv[1]).open(encoding="utf-8", newline="") as file:
            texts = [row["text"] for row in csv.DictReader(file)][:ITEMS]
    print(json.dumps(measure(texts), indent=1))


if __name__ == "__main__":
    main()
