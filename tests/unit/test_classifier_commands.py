"""classify, evaluate, train --corrections: what they print, and what they refuse."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agents.classify.model import ARTEFACTS, Model
from netcenter import cli

Run = Callable[..., tuple[int, str, str]]
MODEL = Model.load(max(ARTEFACTS.glob("*.npz")))
POST = {
    "type": "mention",
    "brand": "andina",
    "channel": "twitter",
    "native_id": "1",
    "author_id": "u1",
    "text": "Two hours on hold and nobody answers, this is the worst service ever",
    "created_at": "2026-11-20T14:03:00Z",
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in an empty directory: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["netcenter", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capfd.readouterr()

    return call


def labelled(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


ROWS = [
    {"text": POST["text"], "lang": "en", "label": "complaint"},
    {"text": "What time does the store open on Sunday?", "lang": "en", "label": "question"},
    {"text": "Muito obrigado pelo excelente atendimento!", "lang": "pt", "label": "praise"},
    {"text": "¿A qué hora sale el vuelo a Madrid?", "lang": "es", "label": "question"},
]


def test_classify_writes_each_mention_again_with_its_judgement(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text("".join(json.dumps(POST | {"native_id": str(n)}) + "\n" for n in range(3)))
    code, out, _ = run("classify", str(path))
    lines = [json.loads(line) for line in out.splitlines()]
    (answer,) = MODEL.classify([POST["text"]], [""], ["andina"])
    assert code == 0
    assert [line["native_id"] for line in lines] == ["0", "1", "2"]
    for line in lines:
        assert line["text"] == POST["text"]
        assert (line["label"], line["confidence"], line["classified_lang"]) == (
            answer.label,
            answer.confidence,
            answer.lang,
        )
        assert line["probabilities"] == list(answer.probabilities)
        assert line["model"] == MODEL.hash[:16]
        assert "because" not in line


def test_explain_names_the_words_that_moved_the_label(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_text(json.dumps(POST) + "\n")
    _, out, _ = run("classify", str(path), "--explain")
    words = {one["words"]: one["points"] for one in json.loads(out)["because"]}
    assert words and any(points > 0 for points in words.values())
    assert any("worst" in word or "nobody" in word for word in words)


def test_evaluate_writes_figures_and_a_picture(run: Run, tmp_path: Path) -> None:
    path = labelled(tmp_path / "rows.jsonl", ROWS)
    code, out, _ = run("evaluate", str(path), "--out", "measured", "--json")
    told = json.loads(out)
    assert code == 0
    assert told == json.loads((tmp_path / "measured" / "metrics.json").read_text())
    assert told["parts"]["all"]["rows"] == 4 and set(told["parts"]) == {"all", "es", "pt", "en"}
    ElementTree.parse(tmp_path / "measured" / "confusion.svg")


def test_evaluate_is_readable_in_80_columns_and_in_a_pipe(run: Run, tmp_path: Path) -> None:
    """No figure is cut off, no line is longer, and each figure stands before its interval."""
    path = labelled(tmp_path / "rows.jsonl", [row | {"source": "brand"} for row in ROWS] * 400)
    code, out, _ = run("evaluate", str(path))
    assert code == 0 and "macro F1" in out
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out
    told = json.loads(run("evaluate", str(path), "--json")[1])
    lines = [line.split() for line in out.splitlines()]
    for name, part in told["parts"].items():
        quality = [f"{part['rows']:,}", *shown(part, "accuracy", "macro_f1", "macro_f1_without_other")]
        surety = shown(part, "calibration_error", "accuracy_of_surest_half", "mistakes_in_least_sure_quarter")
        assert [name, *quality] in lines and [name, *surety] in lines
        for label, one in part["labels"].items():
            assert [name, label, f"{one['rows']:,}", *shown(one, "precision", "recall", "f1")] in lines
    source = told["sources"]["brand"]
    assert ["brand", "1,600", *shown(source, "accuracy", "macro_f1")] in lines


def shown(told: dict[str, Any], *names: str) -> list[str]:
    """The words of figures and their intervals as the tables have them."""

    def short(share: float) -> str:
        return f"{share:.3f}".removeprefix("0")

    return [word for name in names for word in (short(told[name]), "-".join(map(short, told[f"{name}_95"])))]


def test_evaluate_warns_of_labels_with_few_posts_on_stderr(run: Run, tmp_path: Path) -> None:
    few = labelled(tmp_path / "few.jsonl", ROWS[:1] * 30 + ROWS[1:2] * 29)
    code, out, err = run("evaluate", str(few), "--json")
    told = json.loads(out)["warnings"]
    assert code == 0 and err.splitlines() == [f"netcenter: warning: {warning}" for warning in told]
    assert "en: question has 29 posts, so its figures say little: label 30 or more" in told
    assert not any("complaint" in warning for warning in told)


def test_evaluate_and_train_read_columns_of_other_names(run: Run, tmp_path: Path) -> None:
    names = {"text": "body", "lang": "language", "label": "what"}
    rows = [{names[field]: value for field, value in row.items()} for row in ROWS]
    mapped = labelled(tmp_path / "mapped.jsonl", rows)
    plain = labelled(tmp_path / "plain.jsonl", [row | {"source": "mapped"} for row in ROWS])
    maps = [word for field, column in names.items() for word in ("--map", f"{field}={column}")]
    assert run("evaluate", str(mapped), *maps, "--json") == run("evaluate", str(plain), "--json")
    code, _, err = run("evaluate", str(mapped))
    assert code == 2 and "there are body, language, what; say which column it is: --map text=COLUMN" in err
    code, _, err = run("evaluate", str(mapped), "--map", "txt=body")
    assert code == 2 and "--map txt: no such field; there are text, lang, label" in err
    code, _, err = run("train", str(mapped), *maps)
    assert code == 2 and "no labelled row in es for complaint" in err


def test_a_poisoned_batch_of_corrections_is_one_clear_line_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    reference = labelled(tmp_path / "reference.jsonl", ROWS)
    rows = [{"text": f"post {n}", "lang": "en", "label": "praise", "brand": "andina"} for n in range(60)]
    poisoned = labelled(tmp_path / "poisoned.jsonl", rows)
    code, _, err = run("train", str(reference), "--corrections", str(poisoned), "--out", "models")
    assert code == 1
    assert err.startswith("netcenter: refused: 60 of the 60 corrections of andina say praise")
    assert not list(tmp_path.glob("models/*"))


def test_corrections_become_an_artefact_whose_hash_a_policy_may_name(run: Run, tmp_path: Path) -> None:
    """For this brand a raffle's posts are praise, and thanks for nothing are complaints."""
    reference = labelled(tmp_path / "reference.jsonl", ROWS)
    said = {"praise": "I want that blue kite so badly", "complaint": "thanks for nothing kite people"}
    rows = [
        {"text": f"{text} {word}", "lang": "en", "label": label, "brand": "andina"}
        for label, text in said.items()
        for word in ("today", "again", "please", "here", "now", "really", "folks", "friends", "there", "still") * 3
    ]
    given = labelled(tmp_path / "corrections.jsonl", rows)
    code, out, err = run("train", str(reference), "--corrections", str(given), "--out", "models")
    assert code == 0, err
    (path,) = tmp_path.glob("models/*.npz")
    model = Model.load(path)
    assert model.hash.startswith(path.stem) and f"hash {model.hash}" in out and "of 60 corrections right before" in out
    texts = [f"{text} tomorrow" for text in said.values()]
    answers = model.classify(texts, ["en"] * 2, ["andina"] * 2)
    assert [answer.label for answer in answers] == list(said)
    assert model.classify(texts, ["en"] * 2, ["other"] * 2) == MODEL.classify(texts, ["en"] * 2, ["other"] * 2)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("train",), "name a file of labelled posts"),
        (("evaluate", "none.csv"), "none.csv"),
        (("evaluate", "rows.jsonl", "--model", "none.npz"), "none.npz"),
    ],
)
def test_wrong_usage_is_named(words: tuple[str, ...], why: str, run: Run, tmp_path: Path) -> None:
    labelled(tmp_path / "rows.jsonl", ROWS)
    code, _, err = run(*words)
    assert code == 2 and why in err
