"""Promises of whatever stands behind agents.classify.port.Classifier."""

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agents.classify.model import ARTEFACTS, Model
from agents.classify.port import ANSWER_LANGUAGES, LABELS, Classification, Classifier
from agents.classify.stage import ClassifyStage
from agents.decider import At, Unanswered
from agents.policy import parse
from netcenter.errors import UsageError
from netcenter.runtime.external_classifier import described
from schemas.records import Mention

NOON = 1_795_176_000_000
OURS = Model.load(max(ARTEFACTS.glob("*.npz")))
POSTS = [
    ("Two hours on hold and nobody answers!", "en", "andina"),
    ("¿A qué hora abre la tienda?", "", "andina"),
    ("Muito obrigado pelo atendimento", "pt-BR", "other"),
    ("", "", ""),
    ("👍", "und", "andina"),
    ("\0", "es", "andina"),
    ("\ud83d lone", "fr", "andina"),
    ("مرحبا كيف حالك؟", "ar", "andina"),
    ("https://example.com " * 3, "en", "andina"),
    ("word " * 2_000, "en", "andina"),
]


POLICY = parse(f'[classifier]\nmodel = "{"ab" * 32}"\n')


def post(number: int, text: str) -> Mention:
    """One of a customer's."""
    return Mention(
        id=f"{number}",
        brand="andina",
        channel="twitter",
        native_id=f"{number}",
        author_id="u1",
        text=text,
        created_at=NOON,
    )


class Own:
    """A classifier of one's own, as a team would write it."""

    def __init__(self, hash: str) -> None:
        self.hash = hash

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        chances = (0.1, 0.6, 0.1, 0.2)
        return [Classification("question", 0.6, chances, "en") for _ in zip(texts, langs, brands, strict=True)]


class Server(BaseHTTPRequestHandler):
    """A model server as docs/model-card.md describes it."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/poison" and any("poison" in text for text in asked["texts"]):
            self.send_response(500)
            self.end_headers()
            return
        answers = OURS.classify(asked["texts"], asked["langs"], asked["brands"])
        told = [{"probabilities": answer.probabilities, "lang": answer.lang} for answer in answers]
        if self.path == "/short":
            told = told[1:]
        if self.path == "/foreign":
            told = [one | {"lang": "fr"} for one in told]
        if self.path == "/unsound":
            told = [one | {"probabilities": (7, 0, 0, 0)} for one in told]
        self.send_response(500 if self.path == "/ill" else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"answers": told}).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def written(folder: Path, **told: object) -> Path:
    path = folder / "classifier.json"
    path.write_text(json.dumps(told))
    return path


@pytest.fixture(params=["ours", "http", "python"])
def classifier(request: pytest.FixtureRequest, address: str, tmp_path: Path) -> Classifier:
    if request.param == "ours":
        return OURS
    if request.param == "http":
        return described(written(tmp_path, http=address, version="1"))
    return described(written(tmp_path, python=f"{__name__}:Own"))


def asked(classifier: Classifier, posts: Sequence[tuple[str, str, str]]) -> list[Classification]:
    return classifier.classify([p[0] for p in posts], [p[1] for p in posts], [p[2] for p in posts])


def test_every_post_gets_one_sound_answer_in_order(classifier: Classifier) -> None:
    answers = asked(classifier, POSTS)
    assert len(answers) == len(POSTS)
    for answer in answers:
        assert answer.lang in ANSWER_LANGUAGES
        assert sum(answer.probabilities) == pytest.approx(1, abs=1e-3)
        assert answer.confidence == max(answer.probabilities)
        assert answer.label == LABELS[answer.probabilities.index(answer.confidence)]


def test_an_answer_does_not_depend_on_the_batch(classifier: Classifier) -> None:
    together = asked(classifier, POSTS)
    assert [asked(classifier, [post])[0] for post in POSTS] == together
    assert asked(classifier, POSTS[::-1]) == together[::-1]


def test_nothing_asked_is_nothing_answered_and_columns_must_be_equally_long(classifier: Classifier) -> None:
    assert classifier.classify([], [], []) == []
    with pytest.raises(ValueError, match="zip"):
        classifier.classify(["a", "b"], ["en", "en"], ["andina"])


def test_its_hash_is_64_hex_digits(classifier: Classifier) -> None:
    assert len(bytes.fromhex(classifier.hash)) == 32


def test_the_hash_of_another_s_classifier_is_that_of_its_description(tmp_path: Path) -> None:
    path = written(tmp_path, python=f"{__name__}:Own", version="2")
    assert described(path).hash == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("fault", ["short", "foreign", "unsound", "ill"])
def test_a_server_that_answers_nonsense_is_unavailable_so_that_no_post_is_blamed(
    fault: str, address: str, tmp_path: Path
) -> None:
    classifier = described(written(tmp_path, http=f"{address}/{fault}"))
    with pytest.raises(Unanswered, match=fault):
        classifier.ask(["a", "b", "c"], ["en"] * 3, ["andina"] * 3)


def test_a_server_that_cannot_take_one_post_costs_that_post_alone(address: str, tmp_path: Path) -> None:
    """It answers others: so it is there, and halving finds the one."""
    stage = ClassifyStage(0, lambda hash: described(written(tmp_path, http=f"{address}/poison")))
    posts = [(post(n, "poison" if n == 5 else "hello"), n) for n in range(8)]
    outcomes = stage.run(posts, At(NOON, NOON, POLICY, "cause"))
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Unclassifiable" if n == 5 else "ClassifiedMention" for n in range(8)
    ]


def test_what_was_asked_before_is_not_asked_again(address: str, tmp_path: Path) -> None:
    """A worker asks beside its loop and before a transaction; the stage then has the answers, and needs nobody."""
    classifier = described(written(tmp_path, http=address))
    stage = ClassifyStage(0, lambda hash: classifier)
    posts = [post(n, text) for n, text in enumerate(("hello", "Two hours on hold!", "hello"))]
    question = stage.question(posts, POLICY)
    assert question is not None
    stage.answered(question())
    gone = Gone()
    gone.hash = classifier.hash
    stage.models = lambda hash: gone
    outcomes = stage.run([(p, n) for n, p in enumerate(posts)], At(NOON, NOON, POLICY, "cause"))
    assert [type(outcome).__name__ for outcome in outcomes] == ["ClassifiedMention"] * 3
    assert ClassifyStage(0, lambda hash: OURS).question(posts, POLICY) is None


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "just one"),
        ({"http": "http://localhost", "python": "a:b"}, "just one"),
        ({"python": "nowhere_at_all:Model"}, "cannot be had"),
        ({"python": "json"}, "cannot be had"),
        ({"url": "http://localhost"}, "url"),
    ],
)
def test_a_description_that_cannot_be_used_is_named(told: dict[str, str], why: str, tmp_path: Path) -> None:
    path = written(tmp_path, **told)
    with pytest.raises(UsageError, match=why) as caught:
        described(path)
    assert str(path) in str(caught.value)


class Gone:
    """A model server that cannot be reached."""

    hash = "ab" * 32

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        raise Unanswered("the classifier does not answer")

    ask = classify


def test_posts_are_no_dead_letters_while_the_classifier_is_away() -> None:
    """The stage raises, so that the worker stops where it stands and starts over."""
    stage = ClassifyStage(0, lambda hash: Gone())
    with pytest.raises(Unanswered):
        stage.run([(post(1, "hello"), 0)], At(NOON, NOON, POLICY, "cause"))
