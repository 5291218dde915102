"""The built-in classifier: it loads an artefact of learnt weights and labels texts in batches."""

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from agents.classify.features import VERSION, begins_with_handle, features, named
from agents.classify.language import UNDETERMINED, by_scores, by_script, wordless
from agents.classify.language_tags import ANOTHER, tagged
from agents.classify.linear import Linear
from agents.classify.port import LABELS, LANGUAGES, Classification

FORMAT = 3
"""The version of an artefact's layout. It goes up when an older release cannot read a new artefact correctly."""
ARTEFACTS = Path(__file__).parent / "artefacts"
_CALLED = (*LANGUAGES, "und", "und")
_IN_ANOTHER = np.log([0.22, 0.22, 0.22, 0.34])
"""The scores of a post in another language: `other`, with a low confidence, whatever its words are."""


class ModelError(Exception):
    """An artefact cannot be used. The message names the file, what is wrong and what to do."""


class Model:
    """A loaded artefact. It can be shared between threads, because classifying does not change it.

    All languages share one set of weights, and posts that begin with a handle have a second one. Each language has a scale
    (one over its temperature) and, for each set, an intercept for each label; a post of no certain language gets their
    means. A post in another language is not read: it is `other` with a low confidence. Each brand with corrections has
    weights of its own, which other brands do not use.
    """

    reads = (FORMAT, VERSION)
    """The format and the version of the features of the artefacts that it reads."""
    tells = len(LANGUAGES) + 1
    """The number of languages that its part for them tells apart: the last is any other."""

    def __init__(self, hash: str, archive: Mapping[str, NDArray[Any]], brands: Sequence[str]) -> None:
        """Makes a model of the arrays of an artefact. Raises ValueError or KeyError where they do not fit together."""
        self.hash = hash
        self._labels = Linear(archive, "labels", len(LABELS))
        self._language = Linear(archive, "language", self.tells)
        self._brands = {name: Linear(archive, f"brand{at}", len(LABELS)) for at, name in enumerate(brands)}
        scale: NDArray[np.float64] = archive["scale"]
        offset: NDArray[np.float64] = archive["offset"]
        shapes = (scale.shape, offset.shape)
        if shapes != ((len(LANGUAGES),), (2, len(LANGUAGES), len(LABELS))):
            raise ValueError(f"scale and offset do not fit together: {shapes}")
        if [scale.dtype.name, offset.dtype.name] != ["float64", "float64"]:
            raise ValueError("scale and offset have other types")
        self._scale = np.array([*scale, scale.mean(), 0])
        self._offset = np.stack([[*one, one.mean(axis=0), _IN_ANOTHER] for one in offset])

    @classmethod
    def load(cls, path: Path) -> Self:
        """Returns the model of an artefact. Raises ModelError where it is missing, damaged or of another format."""
        content, arrays, meta = opened(path, cls.reads)
        try:
            return cls(hashlib.sha256(content).hexdigest(), arrays, meta["brands"])
        except Exception as error:  # numpy raises many unrelated types for damaged arrays.
            raise _damaged(path, error) from error

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """Returns one answer for each text, in order. Any string is a valid text.

        `langs[i]` is the post's language tag ("es", "es-MX", or "" where unknown). Where it names no language, the text tells.
        The language of an answer is "und" where the text does not tell, or where it is none of LANGUAGES.
        `brands[i]` is the brand that is mentioned, or "".
        Raises ValueError where the three differ in length.
        """
        found = [self._features(text) for text, _, _ in zip(texts, langs, brands, strict=True)]
        spoken = self._spoken(texts, found, langs)
        scores = self._scores(found, list(map(begins_with_handle, texts)), spoken, brands)
        return [_answer(row, _CALLED[lang]) for row, lang in zip(scores.tolist(), spoken, strict=True)]

    def explain(self, text: str, lang: str, brand: str = "") -> list[tuple[str, float]]:
        """Returns (feature, points) of each feature of a text that moved its label, the strongest first.

        A feature is a word, a pair of words, or a prefix with `*`. Points are log-odds of the label against the label with
        the second highest score; negative points speak for the latter.
        """
        names = self._named(text)
        handle = begins_with_handle(text)
        (spoken,) = self._spoken([text], [set(names)], [lang])
        (scores,) = self._scores([set(names)], [handle], [spoken], [brand])
        runner, best = np.argsort(scores, kind="stable")[-2:]
        shares = self._labels.shares(list(names), handle) * self._scale[spoken]
        if brand in self._brands:
            shares = shares + self._brands[brand].shares(list(names))
        points = (shares[:, best] - shares[:, runner]).tolist()
        moved = [(name, point) for name, point in zip(names.values(), points, strict=True) if point]
        return sorted(moved, key=lambda pair: (-abs(pair[1]), pair[0]))

    def logits(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> NDArray[np.float64]:
        """The scores before the softmax. Shape (texts, labels)."""
        found = [self._features(text) for text in texts]
        return self._scores(found, list(map(begins_with_handle, texts)), self._spoken(texts, found, langs), brands)

    def _features(self, text: str) -> set[int]:
        return features(text)

    def _named(self, text: str) -> dict[int, str]:
        return named(text)

    def _spoken(self, texts: Sequence[str], found: Sequence[set[int]], langs: Sequence[str]) -> list[int]:
        """Each text's language, as its position in LANGUAGES, UNDETERMINED or ANOTHER."""
        tags = list(map(tagged, langs))
        untold = [at for at, lang in enumerate(tags) if lang is None]
        by_words = by_scores(self._language.scores([found[at] for at in untold]))
        by_text = iter([by_script(texts[at], lang) for at, lang in zip(untold, by_words, strict=True)])
        spoken = [next(by_text) if lang is None else lang for lang in tags]
        return [
            UNDETERMINED if lang == ANOTHER and wordless(text) else lang
            for text, lang in zip(texts, spoken, strict=True)
        ]

    def _scores(
        self, found: Sequence[set[int]], handles: Sequence[bool], spoken: Sequence[int], brands: Sequence[str]
    ) -> NDArray[np.float64]:
        at, begins = np.array(spoken, np.intp), np.array(handles, np.intp)
        scores: NDArray[np.float64] = (
            self._labels.scores(found, handles) * self._scale[at, None] + self._offset[begins, at]
        )
        if self._brands:
            for brand in sorted(self._brands.keys() & set(brands)):
                mine = [row for row, name in enumerate(brands) if name == brand]
                scores[mine] += self._brands[brand].scores([found[row] for row in mine])
        return scores


def opened(
    path: Path, reads: tuple[int, int] = (FORMAT, VERSION)
) -> tuple[bytes, dict[str, NDArray[Any]], dict[str, Any]]:
    """(bytes, arrays, meta) of an artefact. reads: the format and the version of the features that are wanted.

    Raises ModelError where it is missing, damaged or of another format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read the classifier's artefact {path}: {error.strerror}; "
            "put the file there, or name a model in the policy that is there"
        ) from error
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].tobytes())
            found = (meta["format"], meta["features"])
            arrays = {name: archive[name] for name in archive.files} if found == reads else {}
    except Exception as error:  # zipfile and numpy raise many unrelated types for damaged bytes.
        raise _damaged(path, error) from error
    if not arrays:
        raise ModelError(
            f"the classifier's artefact {path} has format and features {found}, and {reads} are wanted here; "
            "train it again, or run the version that made it"
        )
    return content, arrays, meta


def form(path: Path) -> tuple[int, int] | None:
    """The format of an artefact and the version of its features; None where they cannot be read, which `opened` explains."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].tobytes())
            return meta["format"], meta["features"]
    except Exception:  # noqa: BLE001 - numpy raises many unrelated types for damaged arrays
        return None


def artefact(hash: str, directory: Path = ARTEFACTS, ending: str = ".npz") -> Path | None:
    """The path of the file with this hash in a folder; None where no undamaged file has it."""
    for path in directory.glob(f"*{ending}"):
        if hash.startswith(path.stem) and hashlib.sha256(path.read_bytes()).hexdigest() == hash:
            return path
    return None


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"the classifier's artefact {path} is damaged ({error!r}); copy it again from where it was made")


def _answer(scores: list[float], lang: str) -> Classification:
    """The answer for a text's scores: their softmax to four decimals, because the last bits of exp() differ between machines."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    complaint, question, praise, other = (round(power / total, 4) for power in powers)
    probabilities = (complaint, question, praise, other)
    confidence = max(probabilities)
    return Classification(LABELS[probabilities.index(confidence)], confidence, probabilities, lang)
