"""The forms of the records that a role keeps in its changelog: reading older forms, and writing the form of an earlier
release.

Form 1 is a bare MessagePack map or array. From form 2 on the value begins with one byte, the number of its form: no map
and no array begins with such a byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

Convert = Callable[[str, Any], Any]
"""Takes a record's key and its value in one form (maps, lists and plain values, as MessagePack holds them), and returns
the value in another form. It may change the value that it is given.
"""
#: The largest number that MessagePack writes as a single byte.
LARGEST = 0x7F
_NEXT = "next"
"""The field that holds the whole later value: see `FormStep.beside`."""
_decode, _encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode


class FormError(Exception):
    """A record has a form that this release does not read."""

    def __init__(self, form: int) -> None:
        super().__init__(f"form {form}")
        self.form = form


class NewerForm(FormError):
    """A newer release wrote the record."""


class NotLifted(FormError):
    """An earlier release wrote the record, in a form that no upcaster lifts."""


@dataclass(frozen=True)
class FormStep:
    """The step from one form to the next."""

    lift: Convert | None
    """The upcaster: from the form before to this form. None: no value can be lifted, so the state is rebuilt."""
    lower: Convert | None = None
    """From this form to the form before, without loss, so that a rollback is possible. None: it is not possible."""

    @classmethod
    def beside(cls, lift: Convert, lower: Convert) -> FormStep:
        """A step without loss though the earlier form has less room: the whole value stands in the field `next` of a map, beside
        what the earlier release reads, and that release passes over the field.

        lift: of a value that the earlier release wrote itself. lower: what the earlier release reads. It changes no value that
        it is given, and returns the value itself where the earlier release reads it as it is.
        """

        def lifted(key: str, value: Any) -> Any:
            return value[_NEXT] if _NEXT in value else lift(key, value)

        def lowered(key: str, value: Any) -> Any:
            old = lower(key, value)
            # A value that stands beside an even later one is kept whole too, so that each step lifts its own.
            return value if old is value and _NEXT not in value else {**old, _NEXT: value}

        return cls(lifted, lowered)


@dataclass(frozen=True)
class StateForms:
    """The forms of one kind of record, from form 1 to the form that this release writes."""

    steps: tuple[FormStep, ...] = ()
    """The steps to form 2, to form 3, and so on. A step that was released is never removed."""

    def __post_init__(self) -> None:
        """Checks that every form has a number of one byte."""
        if self.newest > LARGEST:
            raise ValueError(f"{self.newest} forms: a form's number has one byte, up to {LARGEST}")

    @property
    def newest(self) -> int:
        """The form that this release writes, unless it is told to write the form of an earlier release."""
        return 1 + len(self.steps)

    @property
    def oldest(self) -> int:
        """The oldest form that can be lifted."""
        return max((n for n, step in enumerate(self.steps, 2) if step.lift is None), default=1)

    def current(self, key: str, packed: bytes) -> bytes:
        """The bytes of a changelog's value in the newest form, without the byte of the form.

        Raises NewerForm, NotLifted, ValueError for bytes of no form, and whatever an upcaster raises.
        """
        form = form_of(packed)
        if form == self.newest:
            return packed if form == 1 else packed[1:]
        self.refuse(form)
        value = _decode(packed if form == 1 else packed[1:])
        for step in self.steps[form - 1 :]:
            if step.lift is None:
                raise NotLifted(form)
            value = step.lift(key, value)
        return _encode(value)

    def refuse(self, form: int) -> None:
        """Raises NewerForm or NotLifted for a form that this release does not read."""
        if form > self.newest:
            raise NewerForm(form)
        if form < self.oldest:
            raise NotLifted(form)

    def writer(self, form: int) -> Callable[[str, bytes], bytes] | None:
        """The function that makes a changelog's value of (key, bytes in the newest form); None where the bytes are the
        value.

        Raises NotLifted for a form that cannot be written.
        """
        if not self.writable(form):
            raise NotLifted(form)
        start = b"" if form == 1 else bytes((form,))
        lowers = [step.lower for step in reversed(self.steps[form - 1 :]) if step.lower is not None]
        if not lowers:
            return None if form == 1 else lambda _, packed: start + packed

        def lowered(key: str, packed: bytes) -> bytes:
            value = _decode(packed)
            for lower in lowers:
                value = lower(key, value)
            return start + _encode(value)

        return lowered

    def writable(self, form: int) -> bool:
        """Whether this release can write a form."""
        return 1 <= form <= self.newest and all(step.lower is not None for step in self.steps[form - 1 :])


ONE_FORM = StateForms()
"""The forms of records whose form has never changed."""


def form_of(packed: bytes) -> int:
    """The form of a changelog's value, by its first byte. Raises ValueError for bytes of no form."""
    first = packed[0] if packed else 0
    if first > LARGEST:
        return 1
    if first < 2 or not isinstance(_decode(packed[1:]), dict | list):
        raise ValueError("not a record of any form")
    return first
