"""The classifier: reads an artefact of learnt weights and labels texts in batches."""

import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from agents.classify.features import VERSION, features, named
from agents.classify.linear import Linear
from agents.classify.port import LABELS, LANGUAGES, Classification

FORMAT = 2
"""The layout of an artefact: goes up when an older reader could not read it, or would read it wrongly."""
ARTEFACTS = Path(__file__).parent / "artefacts"


class ModelError(Exception):
    """An artefact cannot be used; the message names the file, what is wrong and what to do."""


class Model:
    """A loaded artefact; safe to share, since classifying changes nothing in it.

    One set of weights serves the three languages. Each language has a scale (one over its temperature) and
    an intercept per label; each brand that was corrected has weights of its own, which no other brand sees.
    """

    def __init__(self, hash: str, archive: Mapping[str, NDArray[Any]], brands: Sequence[str]) -> None:
        """Of the arrays of an artefact. Raises ValueError or KeyError if they do not fit."""
        self.hash = hash
        self._labels = Linear(archive, "labels", len(LABELS))
        self._language = Linear(archive, "language", len(LANGUAGES))
        self._brands = {name: Linear(archive, f"brand{at}", len(LABELS)) for at, name in enumerate(brands)}
        self._scale: NDArray[np.float64] = archive["scale"]
        self._offset: NDArray[np.float64] = archive["offset"]
        shapes = (self._scale.shape, self._offset.shape)
        if shapes != ((len(LANGUAGES),), (len(LANGUAGES), len(LABELS))):
            raise ValueError(f"scale and offset do not fit together: {shapes}")
        if [self._scale.dtype.name, self._offset.dtype.name] != ["float64", "float64"]:
            raise ValueError("scale and offset have other types")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the artefact at path; ModelError if it is missing, damaged or of another format."""
        content, arrays, meta = opened(path)
        try:
            return cls(hashlib.sha256(content).hexdigest(), arrays, meta["brands"])
        except Exception as error:  # numpy raises a dozen unrelated types on damaged arrays
            raise _damaged(path, error) from error

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """One answer per text, in order; any string works. ValueError if the three are not equally long.

        langs[i] is the post's own language tag ("es", "es-MX", "" unknown). The language is told from the
        text where the tag is not one of LANGUAGES. brands[i] is the brand mentioned, or "".
        """
        found = [features(text) for text, _, _ in zip(texts, langs, brands, strict=True)]
        spoken = self._spoken(found, langs)
        scores = self._scores(found, spoken, brands)
        return [_answer(row, LANGUAGES[lang]) for row, lang in zip(scores.tolist(), spoken, strict=True)]

    def explain(self, text: str, lang: str, brand: str = "") -> list[tuple[str, float]]:
        """What of a text moved its label, strongest first: (word, pair or prefix*, points).

        Points are log-odds of the label against the runner-up; below zero they spoke for the runner-up.
        """
        names = named(text)
        (spoken,) = self._spoken([set(names)], [lang])
        (scores,) = self._scores([set(names)], [spoken], [brand])
        runner, best = np.argsort(scores, kind="stable")[-2:]
        shares = self._labels.shares(list(names)) * self._scale[spoken]
        if brand in self._brands:
            shares = shares + self._brands[brand].shares(list(names))
        points = (shares[:, best] - shares[:, runner]).tolist()
        moved = [(name, point) for name, point in zip(names.values(), points, strict=True) if point]
        return sorted(moved, key=lambda pair: (-abs(pair[1]), pair[0]))

    def logits(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> NDArray[np.float64]:
        """The scores of shape (texts, labels) whose softmax the answers are."""
        found = [features(text) for text in texts]
        return self._scores(found, self._spoken(found, langs), brands)

    def _spoken(self, found: Sequence[set[int]], langs: Sequence[str]) -> list[int]:
        """Positions in LANGUAGES."""
        spoken = [_tagged(tag) for tag in langs]
        untold = [at for at, lang in enumerate(spoken) if lang < 0]
        told = self._language.scores([found[at] for at in untold]).argmax(axis=1)
        for at, best in zip(untold, told.tolist(), strict=True):
            spoken[at] = best
        return spoken

    def _scores(self, found: Sequence[set[int]], spoken: Sequence[int], brands: Sequence[str]) -> NDArray[np.float64]:
        at = np.array(spoken, np.intp)
        scores: NDArray[np.float64] = self._labels.scores(found) * self._scale[at, None] + self._offset[at]
        if self._brands:
            for brand in sorted(self._brands.keys() & set(brands)):
                mine = [row for row, name in enumerate(brands) if name == brand]
                scores[mine] += self._brands[brand].scores([found[row] for row in mine])
        return scores


def opened(path: Path) -> tuple[bytes, dict[str, NDArray[Any]], dict[str, Any]]:
    """(bytes, arrays, meta) of the artefact at path; ModelError if it is missing, damaged or of another format."""
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
            arrays = {name: archive[name] for name in archive.files} if found == (FORMAT, VERSION) else {}
    except Exception as error:  # zipfile and numpy raise a dozen unrelated types on damaged bytes
        raise _damaged(path, error) from error
    if not arrays:
        raise ModelError(
            f"the classifier's artefact {path} has format and features {found}, this version "
            f"reads {(FORMAT, VERSION)}; train it again, or run the version that made it"
        )
    return content, arrays, meta


def artefact(hash: str, directory: Path = ARTEFACTS, ending: str = ".npz") -> Path | None:
    """The path in directory of the file with that full hash, or None if it is not there, whole."""
    for path in directory.glob(f"*{ending}"):
        if hash.startswith(path.stem) and hashlib.sha256(path.read_bytes()).hexdigest() == hash:
            return path
    return None


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"the classifier's artefact {path} is damaged ({error!r}); copy it again from where it was made")


def _tagged(tag: str) -> int:
    """The place in LANGUAGES of the language a tag such as "es-MX" or "pt_BR" names, or -1."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    return LANGUAGES.index(primary) if primary in LANGUAGES else -1


def _answer(scores: list[float], lang: str) -> Classification:
    """The softmax of scores, to four decimals: the last bits of exp() may differ between machines."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    complaint, question, praise, other = (round(power / total, 4) for power in powers)
    probabilities = (complaint, question, praise, other)
    confidence = max(probabilities)
    return Classification(LABELS[probabilities.index(confidence)], confidence, probabilities, lang)
