"""Whether a comment addresses the brand, which it does when its words name the brand."""

from __future__ import annotations

import re
import unicodedata

from agents.policy import Brand, Policy
from schemas.records import Mention


class Addressing:
    """Searches comments for the names of brands. The search patterns are kept while a policy is in force."""

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._names: dict[str, re.Pattern[str]] = {}

    def addressed(self, mention: Mention, policy: Policy) -> bool:
        """Returns False for a comment that names neither the brand nor its accounts, and is not on the brand's own page.

        The author of the post above the comment is not known: a Mention has the id of its root post, but not the author
        of the post above.
        """
        if mention.kind != "comment":
            return True
        brand = policy.brand(mention.brand)
        if mention.channel in brand.pages:
            return True
        if policy is not self._policy or len(self._names) > _MOST:
            self._policy, self._names = policy, {}
        names = self._names.get(mention.brand)
        if names is None:
            names = self._names[mention.brand] = _pattern(mention.brand, brand)
        return names.search(_plain(mention.text)) is not None


#: Patterns are kept for at most this many brands. A policy lists fewer, but a defective producer may send more.
_MOST = 10_000


def _pattern(name: str, brand: Brand) -> re.Pattern[str]:
    """A pattern of whole words with or without @ or #. Parts of a name are joined by a blank, hyphen, underscore or nothing."""
    handles = [handle for accounts in brand.accounts.values() for handle in accounts]
    parts = [re.split(r"[\s_-]+", _plain(one).strip().lstrip("@#")) for one in (name, *brand.names, *handles)]
    names = {r"[\s_-]?".join(map(re.escape, words)) for words in parts if any(words)}
    return re.compile(rf"(?<!\w)[@#]?(?:{'|'.join(sorted(names))})(?!\w)")


def _plain(text: str) -> str:
    """The text without case and accents."""
    text = text.casefold()
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
