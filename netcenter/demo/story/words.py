"""A small random grammar that writes texts of customers and operators from the word lists in this folder."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from importlib import resources
from random import Random
from typing import Literal

Lang = Literal["es", "pt", "en"]
LANGS: tuple[Lang, ...] = ("es", "pt", "en")
#: Symbols whose words vary without changing the meaning of a text.
SLOTS = (
    "city", "place", "day", "month", "n", "kin", "food", "item", "trip", "fare", "emoji", "mad", "joy", "tag",
    "g_tag",
)  # fmt: skip
FIRST_NAMES = (
    "Ana", "Bruno", "Camila", "Carlos", "Carolina", "Daniel", "Daniela", "Diego", "Elena", "Emily", "Esteban",
    "Fabiana", "Felipe", "Fernanda", "Gabriel", "Gloria", "Helena", "Hugo", "Irene", "Iván", "Jorge", "Julia",
    "Juliana", "Kevin", "Larissa", "Laura", "Leandro", "Lucía", "Luis", "Marcela", "Mariana", "Mateo", "Mónica",
    "Natalia", "Nicolás", "Olga", "Pablo", "Paola", "Patricia", "Rafael", "Renata", "Ricardo", "Rosa", "Samuel",
    "Sandra", "Sofía", "Teresa", "Thiago", "Valeria", "Víctor",
)  # fmt: skip
_PIECE = re.compile(r"\[([^\[\]]*)\]|\{(\w+)\}")
_SHORT: dict[Lang, dict[str, str]] = {
    "es": {
        "que": "q", "porque": "xq", "por favor": "porfa", "también": "tb", "para": "pa", "están": "tan",
        "estoy": "toy", "minutos": "min", "whatsapp": "wasap", "por qué": "x q",
    },
    "pt": {
        "não": "n", "você": "vc", "vocês": "vcs", "também": "tb", "porque": "pq", "que": "q", "por favor":
        "pfv", "minutos": "min", "obrigado": "obg", "obrigada": "obg", "quando": "qdo", "beleza": "blz",
    },
    "en": {
        "you": "u", "your": "ur", "please": "pls", "because": "bc", "people": "ppl", "thanks": "thx",
        "minutes": "mins", "are": "r", "though": "tho", "going to": "gonna", "want to": "wanna", "don't":
        "dont",
    },
}  # fmt: skip
_SHORT_RE = {lang: re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b") for lang, words in _SHORT.items()}

#: A part of a compiled text: words, a symbol, or choices of parts.
Part = str | tuple[str] | list["Parts"]
Parts = list[Part]


@cache
def lists(lang: Lang) -> dict[str, list[str]]:
    """Return the word lists of a language by symbol; a single text counts as a list of one."""
    raw = tomllib.loads(resources.files(__package__).joinpath(f"{lang}.toml").read_text(encoding="utf-8"))
    return {symbol: [texts] if isinstance(texts, str) else texts for symbol, texts in raw.items()}


@cache
def slot_words(lang: Lang) -> frozenset[str]:
    """Return every word that may fill a slot, in the form of `plain`."""
    texts = [text for symbol in SLOTS for text in lists(lang).get(symbol, ())]
    return frozenset(word for text in [*texts, *FIRST_NAMES] for word in plain(text).split())


def plain(text: str) -> str:
    """Return the text in lower case without accents, digits and signs, with one space between words."""
    bare = unicodedata.normalize("NFD", text.lower())
    return " ".join(re.findall(r"[a-z]+", "".join(c for c in bare if not unicodedata.combining(c))))


def _compile(text: str) -> Parts:
    parts: Parts = []
    at = 0
    for match in _PIECE.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        if match[2] is not None:
            parts.append((match[2],))
        else:
            parts.append([_compile(choice) for choice in match[1].split("|")])
        at = match.end()
    if at < len(text):
        parts.append(text[at:])
    return parts


@cache
def _rules(lang: Lang) -> dict[str, list[Parts]]:
    return {symbol: [_compile(text) for text in texts] for symbol, texts in lists(lang).items()}


class Writer:
    """Writes texts in one language. The same random source and calls give the same texts."""

    def __init__(self, lang: Lang, rng: Random) -> None:
        self.lang = lang
        self.rng = rng
        self.rules = _rules(lang)
        self.last_city = ""

    def write(self, symbol: str, given: dict[str, str]) -> str:
        """Return a text of this symbol in tidy spelling; `given` fills symbols whose words the thread has already chosen."""
        found: list[str] = []
        self._expand([(symbol,)], given, found)
        text = " ".join("".join(found).split())
        text = re.sub(r" ([,.:;!])|^[,.:;] *", r"\1", text)
        return re.sub(r"([.!?,:])(?:[.,:]+|!\.)(?!\.)", r"\1", text).strip()

    def _expand(self, parts: Parts, given: dict[str, str], found: list[str]) -> None:
        rng = self.rng
        for part in parts:
            if isinstance(part, str):
                found.append(part)
            elif isinstance(part, list):
                self._expand(part[int(rng.random() * len(part))], given, found)
            elif (known := given.get(part[0])) is not None:
                found.append(known)
            elif (texts := self.rules.get(part[0])) is not None:
                chosen = texts[int(rng.random() * len(texts))]
                if part[0] == "city":
                    while chosen[0] == self.last_city:
                        chosen = texts[int(rng.random() * len(texts))]
                    self.last_city = str(chosen[0])
                self._expand(chosen, given, found)
            else:
                found.append(self._drawn(part[0]))

    def _drawn(self, slot: str) -> str:
        rng = self.rng
        if slot == "num":
            return str(rng.randint(7, 59))
        if slot == "num5":
            return str(rng.randint(10_000, 99_999))
        if slot == "age":
            return str(rng.randint(68, 92))
        if slot == "hour":
            return f"{rng.randint(5, 23)}:{rng.choice(('00', '10', '15', '20', '30', '40', '45', '50'))}"
        if slot == "money":
            amount = rng.choice((rng.randint(15, 95), rng.randint(100, 900), rng.randint(12, 99) * 10))
            if self.lang == "pt":
                return f"{amount} reais"
            return f"{amount} {'USD' if rng.random() < 0.6 else {'es': 'dólares', 'en': 'bucks'}[self.lang]}"
        if slot in ("staff", "sign"):
            return rng.choice(FIRST_NAMES)
        if slot == "handle":
            return f"{plain(rng.choice(FIRST_NAMES))}{rng.randint(2, 999)}"
        raise KeyError(f"{self.lang}.toml: {{{slot}}} is no symbol; name a list or a slot")

    def formal(self, symbol: str, given: dict[str, str]) -> str:
        """Return a text as an operator writes it: every sentence starts with a capital."""
        text = self.write(symbol, given)
        return re.sub(r"(^[^\w^–]*|[.!?] +[¿¡]?)(\w)", lambda m: m[1] + m[2].upper(), text)

    def casual(self, symbol: str, given: dict[str, str], haste: float) -> str:
        """Return a text as a customer types it. haste: 0 to 1, how careless the spelling is."""
        rng = self.rng
        text = self.write(symbol, given)
        if rng.random() > haste:
            text = text[:1].upper() + text[1:]
        if rng.random() < 0.65:
            text = text.replace("¿", "").replace("¡", "")
        if rng.random() < haste * 0.5:
            text = _SHORT_RE[self.lang].sub(lambda m: _SHORT[self.lang][m[0]], text)
        if rng.random() < haste * 0.5:
            bare = unicodedata.normalize("NFD", text)
            text = unicodedata.normalize(
                "NFC", "".join(c for c in bare if c == "\u0303" or not unicodedata.combining(c))
            )
        if rng.random() < haste * 0.5:
            text = text.lower()
        if rng.random() < 0.04 + haste * 0.12:
            text = self._slip(text)
        if rng.random() < 0.05:
            text = re.sub(r"([aeiou])(?=\W*$)", lambda m: m[1] * rng.randint(3, 6), text)
        if rng.random() < 0.03:
            text = text.upper()
        if rng.random() < 0.12:
            text = re.sub(r"([!?])$", lambda m: m[1] * rng.randint(2, 4), text)
        return text

    def _slip(self, text: str) -> str:
        """Return the text with one typing error in a word of four letters or more."""
        words = list(re.finditer(r"(?<![@#\w])[a-záéíóúñãõçê]{4,}", text))
        if not words:
            return text
        word = self.rng.choice(words)
        i = word.start() + self.rng.randint(1, len(word[0]) - 3)
        how = self.rng.random()
        if how < 0.45:
            return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
        return text[:i] + text[i + 1 :] if how < 0.75 else text[:i] + text[i] + text[i:]
