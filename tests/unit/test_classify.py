"""Promises of the classifier: obvious posts, any string, the same answer everywhere, artefacts told apart."""

import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.classify.earlier import load
from agents.classify.features import MAX_CHARS, features, named, tokens
from agents.classify.model import ARTEFACTS, Model, ModelError, artefact
from agents.classify.port import ANSWER_LANGUAGES, LABELS, LANGUAGES, Classification
from agents.policy import parse
from netcenter.commands.artefacts import artefact_path

POLICY = f'[classifier]\nmodel = "{"ab" * 32}"\n'
NEWEST = artefact_path(None)
EARLIER = ARTEFACTS / "a0b5d8f08ea8969d.npz"
MODEL = Model.load(NEWEST)
SIZE = NEWEST.stat().st_size

OBVIOUS = [
    ("en", "complaint", "Two hours on hold and nobody answers, this is the worst service ever"),
    ("en", "complaint", "You lost my luggage again and your app keeps crashing. Terrible!"),
    ("en", "question", "What time does the store open on Sunday?"),
    ("en", "question", "Hi, can you tell me how I can change my seat?"),
    ("en", "praise", "Thank you so much, your crew was amazing and I love this airline!"),
    ("en", "praise", "Great job today, the best flight I have had. Thanks!"),
    ("es", "complaint", "Llevo tres horas esperando y nadie me da una solución, qué vergüenza de servicio"),
    ("es", "complaint", "Me habéis perdido la maleta y no contestáis, pésima atención"),
    ("es", "question", "¿A qué hora sale el vuelo a Madrid?"),
    ("es", "question", "Hola, ¿puedo llevar una mochila y una maleta de mano?"),
    ("es", "praise", "Muchas gracias por todo, un trato excelente y la tripulación encantadora"),
    ("es", "praise", "¡Enhorabuena por el gran servicio, sois los mejores!"),
    ("pt", "complaint", "Comprei há um mês, o produto não chegou e ninguém responde. Péssimo atendimento"),
    ("pt", "complaint", "Meu pedido veio com defeito e a empresa não resolve o problema"),
    ("pt", "question", "Qual é o horário de funcionamento da loja?"),
    ("pt", "question", "Como posso mudar o meu assento?"),
    ("pt", "praise", "Adorei, chegou antes do prazo e o produto é ótimo, recomendo"),
    ("pt", "praise", "Muito obrigado pelo excelente atendimento!"),
]

# Lone surrogates are as likely as all other characters together, which st.text() would hardly ever draw.
# Marks and emoji are runs of several bytes in a token, and so are words whose letters have accents.
marks = st.builds(str.__mul__, st.sampled_from("?!¿¡.:;()'’\u0301\u200d\ufe0f🏽♀😡❤☹™@#\u202e"), st.integers(1, 4))
any_string = st.one_of(
    st.lists(st.characters() | st.characters(categories=["Cs"])).map("".join),
    st.lists(marks | st.text(max_size=8), max_size=4).map("".join),
)
any_tag = st.sampled_from(["", "und", "es", "pt-BR", "EN_us", "fr", "-"]) | any_string
any_post = st.tuples(any_string | st.sampled_from([text for _, _, text in OBVIOUS]), any_tag)
STRANGE = [
    "",
    "👍",
    "\0",
    "\ud83d",
    "a\udfffb",
    "مرحبا كيف حالك؟",
    "\u202egniht",
    "?" * 1_000_000,
    "@" * 1_000_000,
    "é😀 " * 300_000,
    "¿¿¿",
    "e\u0301\u0327\u20dd ni\u200dn\u0303o",
    "\u2067שלום\u2069 👩🏽\u200d💻 ❤\ufe0f ☹ ⁉\ufe0f ‼ ™",
]


def one(text: str, lang: str) -> Classification:
    """The answer to a text that is alone in its batch."""
    (answer,) = MODEL.classify([text], [lang], [""])
    return answer


def resealed(directory: Path, **changed: object) -> Path:
    """A copy of the newest artefact with other members."""
    with np.load(NEWEST) as archive:
        arrays = {name: archive[name] for name in archive.files}
    path = directory / "changed.npz"
    np.savez(path, **(arrays | changed))
    return path


@pytest.mark.parametrize(("lang", "label", "text"), OBVIOUS)
def test_an_obvious_post_gets_its_label_with_or_without_a_language_tag(lang: str, label: str, text: str) -> None:
    for tag in (lang, ""):
        answer = one(text, tag)
        assert (answer.label, answer.lang) == (label, lang)


def test_the_network_s_tag_is_believed_wherever_it_names_a_language() -> None:
    text = OBVIOUS[0][2]
    believed = {"es": "es", "es-MX": "es", "spa": "es", "pt_BR": "pt", "EN": "en"}
    another = dict.fromkeys(["fr", "zh-Hans", "DE", "est", "fil", "ca"], "und")
    untold = dict.fromkeys(["", "und", "zxx", "qme", "nan", "NA", "-", "n/a", "null", "English", "1"], "en")
    for tag, lang in (believed | another | untold).items():
        assert (tag, one(text, tag).lang) == (tag, lang)


FOREIGN = (
    """
Bonjour, ma carte est bloquée depuis hier, que dois-je faire ?|C'est vraiment n'importe quoi votre application
J'attends mon colis depuis trois semaines|Servizio pessimo, due ore di attesa al telefono
La vostra app non funziona da ieri sera|Mi avete perso la valigia e nessuno sa niente
Meine Karte funktioniert seit gestern nicht mehr|Ich habe mein Geld immer noch nicht zurück
Könnt ihr mir bitte sagen, wo mein Paket ist?|Mijn pakket is nog steeds niet aangekomen
Waarom werkt jullie app niet meer?|Fa dues hores que espero i ningú contesta
L'aplicació no va des de fa dies|Cardul meu nu funcționează de ieri
Aștept de două ore și nimeni nu răspunde|İki saattir bekliyorum kimse cevap vermiyor
Paramı geri istiyorum, rezalet bir hizmet|Sudah dua jam menunggu tidak ada yang jawab
Kecewa sekali dengan pelayanannya|Czekam dwie godziny i nikt nie odbiera
Dlaczego aplikacja nie działa?|Har väntat i två timmar och ingen svarar
Hvornår åbner butikken på søndag?|Dalawang oras na akong naghihintay wala pa ring sumasagot
Tôi đã chờ hai tiếng mà không ai trả lời|Tại sao ứng dụng không hoạt động?
Olen odottanut kaksi tuntia eikä kukaan vastaa|Két órája várok és senki nem válaszol
Čekám dvě hodiny a nikdo neodpovídá|Kartica mi ne radi od jučer
""".strip()
    .replace("\n", "|")
    .split("|")
)
SCRIPTS = [
    "航班取消了，没有人回答我",
    "iPhone 太差了",
    "アプリが動きません",
    "앱이 작동하지 않아요",
    "Где мой заказ? Жду уже неделю",
    "أين طلبي؟ لا أحد يجيب",
    "איפה ההזמנה שלי",
    "Πού είναι η παραγγελία μου;",
    "मेरा ऑर्डर कहाँ है",
    "แอปใช้งานไม่ได้",
    "@andina Почему так долго? https://example.com/where-is-my-order",
]


def unread(text: str, lang: str = "") -> bool:
    """Whether the answer is that of a post in another language: `other`, too unsure for any policy, and for no reason."""
    answer = one(text, lang)
    low = answer.confidence < parse(POLICY).classifier.uncertain_below
    return (answer.lang, answer.label, low, MODEL.explain(text, lang)) == ("und", "other", True, [])


def test_a_post_in_another_script_or_with_a_tag_of_another_language_is_not_guessed_at() -> None:
    assert [text for text in SCRIPTS if not unread(text)] == []
    assert [text for _, _, text in OBVIOUS if not unread(text, "fr")] == []
    assert one("I love 寿司 so much, thanks!", "").lang == "en"
    assert one("¯\\_(ツ)_/¯ la aplicación no funciona", "").lang == "es"


def test_posts_in_other_languages_of_latin_letters_are_hardly_ever_taken_for_a_known_one() -> None:
    answers = [one(text, "") for text in FOREIGN]
    assert sum(answer.lang == "und" for answer in answers) >= 0.9 * len(FOREIGN)
    assert sum(unread(text) for text in FOREIGN) >= 0.75 * len(FOREIGN)


@pytest.mark.parametrize(
    "text", ["", "😡", "😡😡 @andina", "@andina", "???", "https://example.com/a", "24", "❤\ufe0f 👏🏽"]
)
def test_a_post_without_words_has_no_language_and_says_the_same_under_any_tag(text: str) -> None:
    assert one(text, "").lang == "und"
    assert one(text, "fr") == one(text, "") == one(text, "qme")


def test_variants_of_an_emoji_are_one_emoji_and_marks_that_cannot_be_seen_are_none() -> None:
    pairs = {
        "👏🏽": "👏",
        "❤\ufe0f": "❤",
        "🤷🏽\u200d♀\ufe0f": "🤷",
        "‼": "!!",
        "⁉\ufe0f": "!?",
        "esta\u00adfa": "estafa",
    }
    for variant, plain in pairs.items():
        assert features(variant) == features(plain) != set()
    assert len({frozenset(features(emoji)) for emoji in "⭐⏰☹❤😡🤬▶⬆"}) == 8


@given(any_post)
def test_any_string_is_classified_with_sound_probabilities(post: tuple[str, str]) -> None:
    answer = one(*post)
    assert answer.lang in ANSWER_LANGUAGES
    assert all(0 <= probability <= 1 for probability in answer.probabilities)
    assert sum(answer.probabilities) == pytest.approx(1, abs=1e-3)
    assert answer.confidence == max(answer.probabilities)
    assert answer.label == LABELS[answer.probabilities.index(answer.confidence)]


@given(any_post)
@settings(deadline=None, max_examples=500)
def test_any_string_is_explained_by_the_features_that_it_is_classified_by(post: tuple[str, str]) -> None:
    text, lang = post
    names = named(text)
    assert names.keys() == features(text)
    assert all(words in names.values() and points for words, points in MODEL.explain(text, lang))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", STRANGE, ids=range(len(STRANGE)))
def test_strange_and_very_long_texts_are_classified_soon(text: str) -> None:
    assert one(text, "").label in LABELS
    assert all(points for _, points in MODEL.explain(text, ""))


def test_what_follows_the_limit_of_length_changes_nothing() -> None:
    text = "word " * (MAX_CHARS // 5)
    assert features(text + "awful") == features(text)
    assert features(text[5:] + "awful") != features(text)


def test_no_texts_give_no_answers_and_a_missing_tag_is_an_error() -> None:
    assert MODEL.classify([], [], []) == []
    with pytest.raises(ValueError, match="shorter"):
        MODEL.classify(["a", "b"], ["en"], ["", ""])


@given(st.lists(any_post, max_size=20), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_post_gets_the_same_answer_in_any_batch_and_order(posts: list[tuple[str, str]], random: Random) -> None:
    alone = [one(*post) for post in posts]
    order = list(range(len(posts)))
    random.shuffle(order)
    together = MODEL.classify([posts[at][0] for at in order], [posts[at][1] for at in order], [""] * len(posts))
    assert together == [alone[at] for at in order]


def test_a_new_process_gives_the_same_answers_whatever_its_hash_seed() -> None:
    texts = [text for _, _, text in OBVIOUS] + ["", "👍"]
    program = (
        "import sys, msgspec; from pathlib import Path; from agents.classify.model import Model\n"
        "texts = msgspec.json.decode(sys.stdin.buffer.read())\n"
        "answers = Model.load(Path(sys.argv[1])).classify(texts, [''] * len(texts), [''] * len(texts))\n"
        "sys.stdout.buffer.write(msgspec.json.encode(answers))"
    )
    here = msgspec.json.encode(MODEL.classify(texts, [""] * len(texts), [""] * len(texts)))
    for seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", program, str(NEWEST)],
            input=msgspec.json.encode(texts),
            capture_output=True,
            check=True,
            timeout=60,
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed},
        )
        assert there.stdout == here


def test_accents_case_stretched_letters_handles_links_and_numbers_are_folded() -> None:
    folded = tokens("@ana NÃO funcionaaaa, don\u2019t! https://example.com/a?b 24h")
    assert folded == tokens("@ben nao funciona dont ! http://example.org 7 h")
    assert b"nao" in folded and b"!" in folded


def test_a_missing_artefact_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.npz"
    with pytest.raises(ModelError, match=str(path)):
        Model.load(path)


@given(
    at=st.integers(0, SIZE - 1) | st.integers(0, 500) | st.integers(SIZE - 1500, SIZE - 1),
    flip=st.integers(1, 255),
)
@settings(deadline=None)
def test_a_damaged_byte_gives_a_model_error_that_names_the_file_or_changes_no_answer(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int
) -> None:
    content = bytearray(NEWEST.read_bytes())
    content[at] ^= flip
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    texts = [text for _, _, text in OBVIOUS]
    try:
        answers = Model.load(path).classify(texts, [""] * len(texts), [""] * len(texts))
    except ModelError as error:
        assert str(path) in str(error)
    else:
        assert answers == MODEL.classify(texts, [""] * len(texts), [""] * len(texts))


@pytest.mark.parametrize("content", [b"", b"no archive", NEWEST.read_bytes()[:-1000], NEWEST.read_bytes()[:1000]])
def test_a_file_that_is_no_whole_artefact_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"{path} is damaged"):
        Model.load(path)


def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="arrays of labels do not fit"):
        Model.load(resealed(tmp_path, labels_weights=np.zeros((3, 4), np.int16)))
    with pytest.raises(ModelError, match="other types"):
        Model.load(resealed(tmp_path, language_intercept=np.zeros(4, np.float32)))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("🤬🤬🤬", "complaint"),
        ("😡", "complaint"),
        ("@andina estafadores", "complaint"),
        ("ladrões", "complaint"),
        ("thieves!! scammers", "complaint"),
        ("❤️", "praise"),
        ("👏🏽👏🏽👏🏽", "praise"),
        ("⭐⭐⭐⭐⭐", "praise"),
    ],
)
def test_emoji_and_insults_to_a_brand_say_what_they_mean(text: str, label: str) -> None:
    assert one(text, "").label == label


def test_the_artefact_of_the_first_release_answers_as_it_did() -> None:
    """A policy that names it stays in force through an upgrade, and a replay by it gives the same."""
    posts = [
        ("@andina llevo tres horas esperando y nadie responde", "es", (0.9413, 0.003, 0.0089, 0.0467), "es"),
        ("thanks for the quick help!", "en", (0.0118, 0.0091, 0.942, 0.0371), "en"),
        ("quando abre a loja do centro?", "", (0.0323, 0.8683, 0.0027, 0.0967), "pt"),
        ("@brand is the app down?", "", (0.0409, 0.9238, 0.0028, 0.0325), "en"),
        ("\U0001f92c\U0001f92c\U0001f92c", "", (0.0098, 0.0073, 0.0512, 0.9317), "pt"),
        ("good morning everyone", "fr", (0.0241, 0.0087, 0.3769, 0.5903), "en"),
    ]
    texts, langs = [text for text, *_ in posts], [lang for _, lang, *_ in posts]
    answers = load(EARLIER).classify(texts, langs, [""] * len(posts))
    assert [(one.probabilities, one.lang) for one in answers] == [(chances, lang) for *_, chances, lang in posts]
    assert type(load(NEWEST)) is Model


def test_an_artefact_of_the_first_release_explains_any_post() -> None:
    assert load(EARLIER).explain("¿¿¿ nadie responde", "es")[0][0]


@pytest.mark.parametrize("part", ["format", "features"])
def test_an_artefact_of_another_version_is_refused_as_such(part: str, tmp_path: Path) -> None:
    with np.load(NEWEST) as archive:
        meta = json.loads(archive["meta"].tobytes())
    meta[part] += 1
    path = resealed(tmp_path, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
    with pytest.raises(ModelError, match=f"{path} has format and features"):
        Model.load(path)


def test_a_model_s_hash_is_that_of_its_file_and_finds_it_again(tmp_path: Path) -> None:
    content = NEWEST.read_bytes()
    assert hashlib.sha256(content).hexdigest() == MODEL.hash
    assert NEWEST.stem == MODEL.hash[:16]
    assert artefact(MODEL.hash) == NEWEST
    assert artefact(MODEL.hash[:16] + "0" * 48) is None
    assert artefact(MODEL.hash, tmp_path) is None
    (tmp_path / NEWEST.name).write_bytes(content[:-1])
    assert artefact(MODEL.hash, tmp_path) is None


def test_the_artefact_is_small_and_says_where_it_comes_from() -> None:
    assert NEWEST.stat().st_size < 5_000_000
    with np.load(io.BytesIO(NEWEST.read_bytes())) as archive:
        meta = json.loads(archive["meta"].tobytes())
    assert meta["sources"] and set(LANGUAGES) < set(meta["metrics"]["student"])


def test_the_model_card_tells_the_figures_that_the_artefact_was_measured_by() -> None:
    card = (Path(__file__).parents[2] / "docs" / "model-card.md").read_text()
    with np.load(NEWEST) as archive:
        meta = json.loads(archive["meta"].tobytes())
    for part, name in (("all", "all"), ("en", "English"), ("es", "Spanish"), ("pt", "Portuguese")):
        told = meta["metrics"]["student"][part]
        figures = [f"{told[kind]:.3f}"[1:] for kind in ("accuracy", "macro_f1", "calibration_error")]
        (row,) = re.findall(rf"^\| {name} \| {told['rows']:,} \|.*$", card, re.MULTILINE)
        assert all(figure in row for figure in figures)
    assert f"{meta['rows']['taught']:,}" in card


def test_an_explanation_names_the_words_that_speak_for_the_label_and_adds_up_to_its_lead() -> None:
    for lang, label, text in OBVIOUS:
        moved = MODEL.explain(text, lang)
        assert one(text, lang).label == label
        assert all(words in " ".join(map(bytes.decode, tokens(text))) for words, _ in moved if "*" not in words)
        assert [abs(points) for _, points in moved] == sorted((abs(points) for _, points in moved), reverse=True)
    assert MODEL.explain("", "en") == []
