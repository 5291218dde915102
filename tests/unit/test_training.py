"""Promises of training, on small made-up corpora: it learns, it repeats itself, it measures honestly, it refuses."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.classify.features import features
from agents.classify.language import UNDETERMINED, by_scores
from agents.classify.language_tags import ANOTHER
from agents.classify.linear import Linear
from agents.classify.model import Model
from agents.classify.port import LABELS, LANGUAGES
from netcenter.errors import UsageError
from netcenter.training import corrections, leave_out
from netcenter.training.calibrate import calibrate
from netcenter.training.embeddings import WIDTH, Embeddings
from netcenter.training.figures import calibration_error, confusion, figures, macro_f1, picture
from netcenter.training.languages import learn_languages
from netcenter.training.seeds import EMOJI, WORDS
from netcenter.training.softmax import softmax
from netcenter.training.student import StudentSettings
from netcenter.training.train import Trained, train
from netcenter.training.training_rows import TrainingRows, made, read, thinned

SAID = {
    "es": {
        "complaint": ["pésimo", "roto", "nadie responde", "vergüenza"],
        "question": ["cuándo abre", "cómo puedo", "qué hora", "dónde"],
        "praise": ["gracias", "excelente", "encanta", "felicidades"],
        "other": ["noticia", "fútbol", "sorteo", "ayer fui"],
    },
    "pt": {
        "complaint": ["péssimo", "quebrado", "ninguém responde", "vergonha"],
        "question": ["quando abre", "como posso", "que horas", "onde"],
        "praise": ["obrigado", "excelente", "adorei", "parabéns"],
        "other": ["notícia", "futebol", "sorteio", "ontem fui"],
    },
    "en": {
        "complaint": ["awful", "broken", "nobody answers", "shame"],
        "question": ["when does", "how can", "what time", "where"],
        "praise": ["thanks", "excellent", "love", "congratulations"],
        "other": ["news", "football", "raffle", "yesterday"],
    },
}
PADDING = ["tienda", "loja", "shop", "app", "banco", "voo", "hoy", "hoje", "today", "a", "o", "the", "de", "my"]


SMALL = StudentSettings(penalty=1.0, dimensions=128, company=48, made=60)
"""A student that is quick to teach."""


class Made(Embeddings):
    """Embeddings without the teacher's library: a fixed random direction for each word, summed."""

    def of(self, texts: Sequence[str], say: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
        rows = [sum((self._direction(word) for word in text.lower().split()), np.zeros(WIDTH)) for text in texts]
        say(len(texts))
        found = np.array(rows).reshape(len(texts), WIDTH)
        lengths = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return np.asarray(found / lengths, np.float32)

    @staticmethod
    @cache
    def _direction(word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        return np.random.default_rng(seed).normal(size=WIDTH)


def post(lang: str, label: str, random: Random) -> str:
    words = [*random.sample(PADDING, 4), random.choice(SAID[lang][label])]
    random.shuffle(words)
    return " ".join(words)


def corpus(count: int, seed: int, sources: Sequence[str] = ("one", "two", "three")) -> list[dict[str, str]]:
    random = Random(seed)
    found = []
    for _ in range(count):
        lang, label = random.choice(LANGUAGES), random.choice(LABELS)
        text = post(lang, label, random)
        found.append({"text": text, "lang": lang, "label": label, "source": random.choice(sources)})
    return found


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    rows = read([written(folder / "labelled.csv", corpus(600, 1))], [written(folder / "more.csv", corpus(300, 2))])
    return train(rows, Made(folder / "cache"), folder, SMALL, seed=0)


def judged(path: Path, rows: TrainingRows) -> float:
    model = Model.load(path)
    chosen = model.logits(rows.text, [LANGUAGES[at] for at in rows.lang], rows.brand).argmax(axis=1)
    return macro_f1(confusion(rows.label, chosen))


def test_what_is_learnt_labels_posts_it_never_saw(trained: Trained, tmp_path: Path) -> None:
    assert judged(trained.path, read([written(tmp_path / "new.csv", corpus(300, 9))])) > 0.9
    assert trained.figures["student"]["parts"]["all"]["macro_f1"] > 0.9


def test_the_same_rows_and_seed_give_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    labelled, more = written(tmp_path / "labelled.csv", corpus(600, 1)), written(tmp_path / "more.csv", corpus(300, 2))
    again = train(read([labelled], [more]), Made(tmp_path / "cache"), tmp_path, SMALL, seed=0)
    assert again.path.name == trained.path.name
    assert again.path.read_bytes() == trained.path.read_bytes()


def test_labels_of_unlabelled_files_are_not_looked_at_and_known_posts_not_taken_twice(tmp_path: Path) -> None:
    rows = corpus(50, 1)
    wrong = [row | {"label": "nonsense"} for row in rows[:20] + corpus(30, 2)]
    found = read([written(tmp_path / "a.csv", rows)], [written(tmp_path / "b.csv", wrong)])
    assert found.labelled.sum() == 50
    assert len(set(found.text[50:])) == len(found) - 50
    assert not set(found.text[50:]) & set(found.text[:50])


def test_a_large_source_lends_as_many_unlabelled_posts_as_any_other_and_the_same_in_any_order() -> None:
    posts = [
        {"text": f"post {n}", "lang": 2, "label": 3 if n < 5 else -1, "source": "large", "brand": "", "weight": 1.0}
        for n in range(50)
    ]
    few = [posts[n] | {"text": f"other {n}", "source": "small"} for n in range(10, 14)]
    found, turned = thinned(made(posts + few), 20), thinned(made((posts + few)[::-1]), 20)
    assert sorted(found.text) == sorted(turned.text)
    assert {text for text in found.text if text in {f"post {n}" for n in range(5)}} == {f"post {n}" for n in range(5)}
    assert (found.source == "large").sum() == 25 and (found.source == "small").sum() == 4


def test_a_source_left_out_is_left_out_whole_with_its_translation_and_halves() -> None:
    sources = ["umsab_neutral", "umsab_polar", "mt_shop", "shop", "bank"]
    assert sorted(map(sorted, leave_out.families(sources))) == [
        ["bank"],
        ["mt_shop", "shop"],
        ["umsab_neutral", "umsab_polar"],
    ]


def test_small_sources_are_left_out_in_five_groups_of_like_size() -> None:
    sizes = {"large": leave_out.SMALL, **{f"small{n}": 10 * n for n in range(1, 12)}}
    sources = [source for source, size in sizes.items() for _ in range(size)]
    found = list(leave_out.families(sources))
    assert {"large"} in found
    assert len(found) == 6
    assert sorted(source for family in found for source in family) == sorted(sizes)
    totals = [sum(sizes[source] for source in family) for family in found if family != {"large"}]
    assert max(totals) <= 2 * min(totals)


def test_a_word_may_mean_another_thing_in_a_post_that_begins_with_a_handle(tmp_path: Path) -> None:
    """The artefact holds a second set of weights, which posts that begin with a handle are scored with."""
    random = Random(5)
    rows = corpus(400, 1)
    for _ in range(200):
        to_brand, lang = random.random() < 0.5, random.choice(LANGUAGES)
        words = " ".join([*random.sample(PADDING, 3), "again"])
        label, handle = ("complaint", "@brand ") if to_brand else ("other", "")
        rows.append({"text": handle + words, "lang": lang, "label": label, "source": random.choice(["one", "two"])})
    rows_read = read([written(tmp_path / "rows.csv", rows)])
    found = train(rows_read, Made(tmp_path / "cache"), tmp_path, SMALL, seed=0)
    model = Model.load(found.path)
    alone, addressed = model.classify(["de my again", "@brand de my again"], ["en", "en"], ["", ""])
    assert (alone.label, addressed.label) == ("other", "complaint")
    with np.load(found.path) as archive:
        assert (archive["labels_handle_weights"] != archive["labels_weights"]).any()


def test_a_source_of_which_all_labels_are_wrong_spoils_the_others_and_not_its_own_answers(tmp_path: Path) -> None:
    """What was measured on a source was not learnt from it: wrong labels are never found right."""
    turned = dict(zip(LABELS, LABELS[1:] + LABELS[:1], strict=True))
    right = corpus(250, 1, ["one", "two"])
    wrong = [row | {"label": turned[row["label"]], "source": "wrong"} for row in corpus(75, 2)]
    rows = read([written(tmp_path / "rows.csv", right + wrong)])
    done = train(rows, Made(tmp_path / "cache"), tmp_path, SMALL, seed=0)
    assert done.figures["student"]["sources"]["wrong"]["accuracy"] < 0.1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lang": "fr"}, "row 1: lang 'fr' must be one of"),
        ({"label": "joy"}, "row 1: label 'joy' must be one of"),
        ({"weight": "much"}, "row 1: weight is no number"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(change: dict[str, str], why: str, tmp_path: Path) -> None:
    row = {"text": "a", "lang": "en", "label": "other"} | change
    with pytest.raises(UsageError, match=why):
        read([written(tmp_path / "rows.csv", [row])])


def test_training_says_which_label_of_which_language_has_no_rows(tmp_path: Path) -> None:
    rows = [row for row in corpus(300, 1) if (row["lang"], row["label"]) != ("pt", "praise")]
    with pytest.raises(UsageError, match="no labelled row in pt for praise"):
        train(read([written(tmp_path / "rows.csv", rows)]), Made(tmp_path), tmp_path, SMALL, seed=0)


def test_calibration_makes_boasting_scores_honest() -> None:
    random = np.random.default_rng(0)
    honest = random.normal(size=(6_000, 4)) * 1.5
    chances = softmax(honest)
    label = np.array([random.choice(4, p=row) for row in chances])
    lang = random.integers(0, 3, len(label))
    boasting = honest * 4
    scale, offset = calibrate(boasting, label, lang)
    mended = softmax(boasting * scale[lang, None] + offset[lang])
    right = mended.argmax(axis=1) == label
    assert calibration_error(softmax(boasting).max(axis=1), right) > 0.1
    assert calibration_error(mended.max(axis=1), right) < 0.03


def test_figures_of_perfect_answers_are_perfect_and_the_picture_is_drawn(tmp_path: Path) -> None:
    rows = read([written(tmp_path / "rows.csv", corpus(90, 3))])
    told = figures(rows, np.eye(len(LABELS))[rows.label])
    for part in told["parts"].values():
        for name in ("accuracy", "macro_f1", "macro_f1_without_other", "accuracy_of_surest_half"):
            assert (part[name], part[f"{name}_95"]) == (1, [1, 1])
        assert (part["calibration_error"], part["calibration_error_95"]) == (0, [0, 0])
    assert sum(sum(row) for row in told["parts"]["all"]["confusion"]) == 90
    drawn = ElementTree.fromstring(picture(told))
    assert len(drawn.findall("{*}rect")) == 16 * len(told["parts"])


def test_every_figure_has_an_interval_that_holds_it_and_is_narrower_with_more_posts(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    widths: dict[str, list[float]] = {}
    for count in (200, 3_200):
        rows = read([written(tmp_path / "rows.csv", corpus(count, 3))])
        whole = figures(rows, random.dirichlet(np.ones(4), count) + 0.5 * np.eye(4)[rows.label])["parts"]["all"]
        for told in (whole, *whole["labels"].values()):
            names = [name for name in told if f"{name}_95" in told]
            assert {name for name, value in told.items() if isinstance(value, float)} - {*names} <= {
                "confidence_of_least_sure_quarter"
            }
            for name in names:
                low, high = told[f"{name}_95"]
                assert low <= told[name] <= high or name == "calibration_error"  # A draw's bins are rougher.
                widths.setdefault(name, []).append(high - low)
    assert len(widths) == 9
    for few in widths.values():
        assert sum(few[len(few) // 2 :]) < sum(few[: len(few) // 2])


def test_what_no_post_says_is_learnt_from_seeds_which_no_figure_counts(trained: Trained) -> None:
    posts = {
        "🤬🤬🤬": "complaint",
        "@andina scammers": "complaint",
        "ladrões": "complaint",
        "💜": "praise",
    }
    answers = Model.load(trained.path).classify(list(posts), [""] * len(posts), [""] * len(posts))
    assert {text: answer.label for text, answer in zip(posts, answers, strict=True)} == posts
    assert trained.figures["student"]["parts"]["all"]["rows"] == 600
    assert set(trained.figures["student"]["sources"]) == {"one", "two", "three"}


def test_a_seed_has_one_label_and_the_features_by_which_it_is_meant() -> None:
    emoji = [one for all in EMOJI.values() for one in all]
    assert len(emoji) == len({*emoji}) and all(len(features(one)) == 1 for one in emoji)
    for labels in WORDS.values():
        said = [words for all in labels.values() for words in all]
        assert len(said) == len({*said})


def test_languages_are_learnt_from_the_posts_and_from_the_words_of_other_languages(tmp_path: Path) -> None:
    rows = read([written(tmp_path / "rows.csv", corpus(300, 1))])
    known = Linear(learn_languages(rows, 150), "language", len(LANGUAGES) + 1)

    def spoken(*texts: str) -> list[int]:
        return by_scores(known.scores([features(text) for text in texts]))

    assert spoken("", "😡", "@andina", "zzzyx") == [UNDETERMINED] * 4
    assert spoken("je ne sais pas pourquoi", "ich weiß nicht warum", "non so perché questo") == [ANOTHER] * 3
    assert spoken("pésimo, la tienda no responde", "péssimo, não sei", "awful, the shop is broken") == [0, 1, 2]


# --- corrections ------------------------------------------------------------------------------------------------------


def relabelled(brand: str, count: int, seed: int, turned: bool = True) -> TrainingRows:
    """Posts of a brand for whom a raffle is a complaint."""
    random, found = Random(seed), []
    for _ in range(count):
        label = random.choice(LABELS)
        said = post("en", label, random)
        meant = "complaint" if turned and label == "other" else label
        at = LABELS.index(meant)
        found.append({"text": said, "lang": 2, "label": at, "source": brand, "brand": brand, "weight": 1.0})
    return made(found)


def test_corrections_make_their_brand_better_and_change_no_answer_to_another(trained: Trained, tmp_path: Path) -> None:
    reference = read([written(tmp_path / "reference.csv", corpus(200, 5))])
    path, gains = corrections.adapt(trained.path, relabelled("andina", 200, 6), reference, tmp_path)
    rest = relabelled("andina", 200, 7)
    assert judged(path, rest) > judged(trained.path, rest) + 0.1
    assert gains["andina"].after > gains["andina"].before
    old, new = Model.load(trained.path), Model.load(path)
    langs, others = ["en"] * len(rest), ["other"] * len(rest)
    assert new.hash != old.hash
    assert new.classify(rest.text, langs, others) == old.classify(rest.text, langs, others)


def test_a_second_brand_keeps_what_the_first_has_learnt(trained: Trained, tmp_path: Path) -> None:
    reference = read([written(tmp_path / "reference.csv", corpus(200, 5))])
    first, _ = corrections.adapt(trained.path, relabelled("andina", 200, 6), reference, tmp_path)
    second, _ = corrections.adapt(first, relabelled("bank", 200, 8), reference, tmp_path)
    rest = relabelled("andina", 100, 7)
    langs = ["en"] * len(rest)
    assert Model.load(second).classify(rest.text, langs, rest.brand) == Model.load(first).classify(
        rest.text, langs, rest.brand
    )


def refused(base: Path, rows: TrainingRows, reference: TrainingRows, out: Path, why: str) -> None:
    before = sorted(out.iterdir())
    with pytest.raises(corrections.CorrectionsRefused, match=why):
        corrections.adapt(base, rows, reference, out)
    assert sorted(out.iterdir()) == before


def test_a_batch_of_one_label_is_refused(trained: Trained, tmp_path: Path) -> None:
    reference = read([written(tmp_path / "reference.csv", corpus(200, 5))])
    rows = relabelled("andina", 200, 6)
    poisoned = TrainingRows(rows.text, rows.lang, np.zeros(200, int), rows.source, rows.brand, rows.weight)
    refused(trained.path, poisoned, reference, tmp_path, "200 of the 200 corrections of andina say complaint")


def test_too_few_or_useless_corrections_publish_nothing(trained: Trained, tmp_path: Path) -> None:
    reference = read([written(tmp_path / "reference.csv", corpus(200, 5))])
    refused(trained.path, relabelled("andina", corrections.LEAST - 1, 6), reference, tmp_path, "nothing to publish")
    refused(trained.path, relabelled("andina", 200, 6, turned=False), reference, tmp_path, "nothing to publish")


def test_a_model_that_is_worse_on_the_reference_set_is_not_published(trained: Trained, tmp_path: Path) -> None:
    reference = relabelled("andina", 200, 9, turned=False)
    refused(trained.path, relabelled("andina", 200, 6), reference, tmp_path, "falls from")
