"""State and progress in forms: old bytes are read for ever, newer bytes are refused, and an earlier form can be written."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

import msgspec
import pytest
from jsonschema import Draft202012Validator, validators

from agents.decider import State
from agents.policy import parse
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from netcenter.tools import release_entry
from schemas import codec
from schemas.avro import locked
from schemas.records import BY_NAME
from schemas.releases import RELEASES, released
from schemas.state_forms import ONE_FORM, FormStep, NewerForm, NotLifted, StateForms, form_of
from streams.checkpoint import PROGRESS, PROGRESS_FORMS, progress_writer, read_progress
from streams.core import Progress
from streams.cores import new_core, written_forms
from streams.errors import Misconfigured
from streams.fold import FoldCore
from streams.recovery import Refusal, WrongPlace, progress_of
from streams.topology import Fold, Role
from tests.support import stored_state, toy

DECIDING = [role for role in PIPELINE.roles if role.decides]


class Named(msgspec.Struct, frozen=True):
    """Form 3 of a record: the name in two parts, and a count."""

    first: str
    last: str
    count: int


def _split(key: str, value: Any) -> Any:
    first, _, last = value.pop("name").partition(" ")
    return {**value, "first": first, "last": last}


def _joined(key: str, value: Any) -> Any:
    return {"name": f"{value.pop('first')} {value.pop('last')}", **value}


def _renamed(old: str, new: str) -> Any:
    def convert(key: str, value: Any) -> Any:
        value[new] = value.pop(old)
        return value

    return convert


FORMS = StateForms(
    (FormStep(_renamed("n", "count"), _renamed("count", "n")), FormStep(_split, _joined)),
)


class Namer:
    """A Decider whose record has had three forms."""

    record_types: ClassVar[Any] = Named

    def initial(self) -> State[Named]:
        return State()

    def due(self, record: Named) -> int | None:
        return record.count

    def decide(self, state: Any, fact: Any, at: Any) -> Any:
        return iter(())

    def evolve(self, state: Any, event: Any) -> Any:
        return {}


def core(form: int | None = None, forms: StateForms = FORMS) -> FoldCore:
    """A core of a role that runs Namer."""
    role = Role("counts", Fold(Namer, forms), ("classified",), ("cases",))
    made = new_core(toy.PIPELINE, role, 0, 1, lambda version, _: parse(toy.POLICY, version), encodes=False, form=form)
    assert isinstance(made, FoldCore)
    return made


def pack(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packed",
    [
        pack({"name": "Ana Ruiz", "n": 7}),
        b"\2" + pack({"name": "Ana Ruiz", "count": 7}),
        b"\3" + pack({"first": "Ana", "last": "Ruiz", "count": 7}),
    ],
    ids=["form 1", "form 2", "form 3"],
)
def test_every_earlier_form_is_lifted_when_it_is_restored(packed: bytes) -> None:
    lifted = core()
    lifted.restore("a", packed)
    assert lifted.state["a"] == Named("Ana", "Ruiz", 7)
    assert lifted.due() == 0  # the start of the minute of its timer


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (1, pack({"name": "Ana Ruiz", "n": 7})),
        (2, b"\2" + pack({"name": "Ana Ruiz", "count": 7})),
        (3, b"\3" + pack({"first": "Ana", "last": "Ruiz", "count": 7})),
        (None, b"\3" + pack({"first": "Ana", "last": "Ruiz", "count": 7})),
    ],
)
def test_a_release_writes_the_form_of_an_earlier_one_and_reads_it_again(form: int | None, written: bytes) -> None:
    """What stays in memory is the newest form all the time."""
    writing = core(form)
    writing.state.put("a", Named("Ana", "Ruiz", 7))
    writing.touched["a"] = None
    writing.touched["gone"] = None
    [(key, value), gone] = writing.packed()
    assert (key, gone) == ("a", ("gone", None))
    assert value is not None
    assert form_of(value) == (form or 3)
    reading = core()
    reading.restore(key, value)
    assert msgspec.msgpack.decode(value[value[0] < 0x80 :]) == msgspec.msgpack.decode(written[written[0] < 0x80 :])
    writing.committed()
    writing.state._live.clear()  # as `cool` does: the next look decodes the bytes in memory
    assert writing.state["a"] == reading.state["a"] == Named("Ana", "Ruiz", 7)


def test_a_newer_form_and_a_form_without_an_upcaster_are_refused() -> None:
    with pytest.raises(NewerForm):
        core().restore("a", b"\4" + pack({}))
    cut = StateForms((FormStep(None), FormStep(_split, _joined)))
    assert (cut.oldest, cut.newest) == (2, 3)
    core(forms=cut).restore("a", b"\2" + pack({"name": "Ana Ruiz", "count": 7}))
    with pytest.raises(NotLifted):
        core(forms=cut).restore("a", pack({"name": "Ana Ruiz", "n": 7}))
    with pytest.raises(NotLifted):
        core(1, forms=cut)


@pytest.mark.parametrize(
    "packed", [b"", b"garbage", b"\0\1", b"\1" + pack({}), b"\3", b"\3\3", b"\3" + pack({}) + b"1"]
)
def test_bytes_of_no_form_are_neither_newer_nor_older(packed: bytes) -> None:
    with pytest.raises(ValueError):
        form_of(packed)
    with pytest.raises(ValueError):
        FORMS.current("a", packed)


def test_a_form_has_a_number_of_one_byte() -> None:
    StateForms((FormStep(_split),) * 126)
    with pytest.raises(ValueError, match="one byte"):
        StateForms((FormStep(_split),) * 127)


@pytest.mark.parametrize("role", DECIDING, ids=lambda role: role.name)
def test_what_is_written_in_an_earlier_form_is_lifted_to_the_same_value(role: Role) -> None:
    """Otherwise a worker that writes an earlier form would decide otherwise after a restart."""
    for form in range(1, role.forms.newest):
        if role.forms.writable(form):
            write = role.forms.writer(form)
            assert write is not None
            for key, _, packed in stored_state.examples(role):
                again = role.forms.current(key, write(key, packed))
                assert msgspec.msgpack.decode(again) == msgspec.msgpack.decode(packed)


#: As msgspec has it, 1.0 is no integer.
_Strict = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)


@pytest.mark.parametrize("name", stored_state.schemas())
def test_what_is_written_in_an_earlier_form_is_what_the_code_of_that_release_reads(name: str) -> None:
    """Its worker ends at a record that it cannot read, and there is no way back."""
    role, _, form = name.rpartition(".")
    write = PIPELINE.role(role).forms.writer(int(form))
    reads = _Strict(stored_state.schemas()[name])
    for key, _, packed in stored_state.examples(PIPELINE.role(role)):
        value = msgspec.msgpack.decode(packed if write is None else write(key, packed))
        value = msgspec.json.decode(msgspec.json.encode(value))  # the keys of an object are text
        assert [error.message for error in reads.iter_errors(value)] == []


def test_each_form_that_a_release_writes_has_a_schema() -> None:
    """`python -m tests.support.stored_state` keeps it, before the release."""
    folds = {role.name for role in DECIDING if isinstance(role.shape, Fold)}
    wanted = {f"{role}.{form}" for one in released().values() for role, form in one.forms.items() if role in folds}
    assert wanted <= stored_state.schemas().keys()


# --- stored bytes -----------------------------------------------------------------------------------------------------


def contains(now: Any, then: Any) -> bool:
    """Whether a value holds everything that an earlier one held; fields may have been added."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and contains(now[key], then[key]) for key in then)
    if isinstance(then, list):
        return len(now) >= len(then) and all(contains(a, b) for a, b in zip(now, then, strict=False))
    return bool(now == then)


@pytest.mark.parametrize("name", stored_state.stored())
def test_the_stored_bytes_of_every_released_form_are_read(name: str) -> None:
    """For ever; and a record of the newest form says what it said when it was stored."""
    role, _, form = name.rpartition(".")
    for entry in stored_state.stored()[name]:
        packed = bytes.fromhex(entry["hex"])
        assert form_of(packed) == int(form)
        if role == stored_state.PROGRESS:
            value: Any = read_progress(packed)
            newest = PROGRESS_FORMS.newest
        else:
            made = new_core(PIPELINE, PIPELINE.role(role), 0, 8, lambda *_: parse("", 1), encodes=False)
            made.restore(entry["key"], packed)
            newest = made.forms.newest
            value = made.state[entry["key"]] if isinstance(made, FoldCore) else msgspec.msgpack.decode(packed)
        if int(form) == newest:
            assert contains(msgspec.to_builtins(value, str_keys=True), entry["value"])


def test_every_form_that_is_written_has_stored_bytes() -> None:
    """`python -m tests.support.stored_state` keeps them."""
    wanted = {f"{role.name}.{role.forms.newest}" for role in DECIDING} | {f"progress.{PROGRESS_FORMS.newest}"}
    for release in released().values():
        wanted |= {f"{role}.{form}" for role, form in release.forms.items()} | {f"progress.{release.progress}"}
    assert wanted <= stored_state.stored().keys()


# --- progress ---------------------------------------------------------------------------------------------------------


def test_a_progress_says_whose_it_is() -> None:
    role = PIPELINE.role("cases")
    own = progress_writer()(Progress(position=7, partition="classified/3"))
    assert progress_of(own, role, 3).position == 7
    assert progress_of(pack({"position": 7}), role, 3).position == 7
    with pytest.raises(WrongPlace):
        progress_of(own, role, 4)
    with pytest.raises(NewerForm):
        progress_of(b"\2" + own, role, 3)


@pytest.mark.parametrize(
    ("key", "error", "told"),
    [
        (
            "a",
            NewerForm(4),
            "form 4, and this release reads forms 1 to 3: a newer release wrote it; start that release",
        ),
        ("a", NotLifted(1), "run `netcenter rebuild counts`, which makes the state of counts again from classified"),
        ("a", ValueError(), "take it out by `netcenter changelog remove counts 0 KEY`; otherwise `netcenter rebuild"),
        (PROGRESS.decode(), NewerForm(2), "form 2, and this release reads form 1: a newer release wrote it"),
        (
            PROGRESS.decode(),
            WrongPlace("the progress of classified/3"),
            "(the progress of classified/3): find who writes",
        ),
    ],
)
def test_a_record_that_cannot_be_read_is_named_with_its_place_and_the_remedy(
    key: str, error: Exception, told: str
) -> None:
    line = str(Refusal(core().role, 0).unread(key, error))
    assert line.startswith(f"counts.changelog/0 holds under the key {key!r} ")
    assert told in line
    assert "\n" not in line


# --- releases ---------------------------------------------------------------------------------------------------------

#: An entry of a release never changes, and neither does its hash here.
HASHES = {"0.1.0": "ec92466740347856"}


def test_what_a_release_wrote_never_changes() -> None:
    found = {
        entry["release"]: hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]
        for entry in json.loads(RELEASES.read_text())
    }
    assert found == HASHES


def test_the_entry_of_a_release_is_what_its_code_writes() -> None:
    """In the form of the file, so that the tool changes no earlier entry."""
    assert release_entry.text(list(released().values())) == RELEASES.read_text()
    made = release_entry.entry("next")
    assert made.forms == {role.name: role.forms.newest for role in DECIDING}
    assert made.records.keys() == BY_NAME.keys()


def test_this_release_reads_all_that_a_release_wrote() -> None:
    versions = {(v.record, v.version) for v in locked()}
    for release in released().values():
        assert release.progress <= PROGRESS_FORMS.newest
        for name, form in release.forms.items():
            assert form <= PIPELINE.role(name).forms.newest
        assert {(name, version) for name, version in release.records.items()} <= versions
        assert release.records.keys() <= BY_NAME.keys()


@pytest.mark.parametrize("role", DECIDING, ids=lambda role: role.name)
def test_the_forms_of_the_last_release_are_written_on_demand_or_refused_in_one_line(role: Role) -> None:
    last = list(released())[-1]
    if role.forms.writable(released()[last].forms.get(role.name, role.forms.newest)):
        assert written_forms(role, last) == (released()[last].forms.get(role.name), released()[last].progress)
    else:
        with pytest.raises(Misconfigured, match="no rollback"):
            written_forms(role, last)
    assert written_forms(role, "") == (None, None)


def test_a_form_that_cannot_be_written_is_refused_before_anything_is_done() -> None:
    role = Role("cases", Fold(Namer, StateForms((FormStep(_split, None),))), ("classified",))
    with pytest.raises(Misconfigured, match="no rollback of cases to that release"):
        written_forms(role, "0.1.0")
    assert Role("cases", Fold(Namer), ("classified",)).forms is ONE_FORM


def test_an_unknown_release_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ValueError, match="one of these releases is meant: 0.1.0"):
        Settings(upgrade_from="0.0.1")


def test_records_can_be_written_in_the_versions_of_an_earlier_release() -> None:
    """The versions of this release where they are the same."""
    codec.write_versions(released()["0.1.0"].records)
    try:
        written = {name: codec.layout_of(BY_NAME[name]).version for name in released()["0.1.0"].records}
        assert written == released()["0.1.0"].records
    finally:
        codec.write_versions({})
