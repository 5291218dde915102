"""Relabels as the log keeps them are what corrections are learnt from."""

from __future__ import annotations

from typing import Any

from agents.classify.port import LABELS
from netcenter.operate.relabels import relabels_of_log
from netcenter.settings import Settings
from schemas import ids
from schemas.records import Action, MentionUpdated
from tests.support.world import NOON, World, author_on, classified, mention

HERE, THERE = author_on(0, 2), author_on(1, 2)


def action(author: str, number: int, name: str, **more: Any) -> Action:
    """What an operator does."""
    return Action(
        id=ids.make("action", "andina", "twitter", f"{author}-{number}"),
        brand="andina",
        channel="twitter",
        author_id=author,
        action_id=f"{author}-{number}",
        action=name,  # type: ignore[arg-type]
        created_at=NOON + number,
        **more,
    )


def changed(author: str, **more: Any) -> MentionUpdated:
    """What became of the author's first post."""
    return MentionUpdated(
        id=ids.make("update", "andina", "twitter", author),
        brand="andina",
        channel="twitter",
        author_id=author,
        native_id=f"{author}-1",
        observed_at=NOON,
        **more,
    )


def test_the_last_relabel_of_each_post_that_the_log_still_holds_counts(world: World) -> None:
    other, gone, deleted = author_on(0, 2, 1), author_on(1, 2, 1), author_on(1, 2, 2)
    world.seed("classified")
    for author in (HERE, THERE, other, gone, deleted):
        world.send("classified", classified(mention(author, 1, f"words of {author}")))
    world.send("classified", action(HERE, 30, "relabel", native_id=f"{HERE}-1", label="praise"))
    world.send("classified", action(HERE, 20, "relabel", native_id=f"{HERE}-1", label="other"))
    world.send("classified", action(THERE, 10, "relabel", native_id=f"{THERE}-1", label="complaint"))
    world.send("classified", changed(THERE, text="words, mended"))
    world.send("classified", action(other, 10, "no_reply", native_id=f"{other}-1", no_reply="spam"))
    world.send("classified", action(other, 11, "relabel", native_id="never seen", label="praise"))
    for author in (gone, deleted):
        world.send("classified", action(author, 10, "relabel", native_id=f"{author}-1", label="praise"))
    world.send("classified", action(gone, 11, "forget"))
    world.send("classified", changed(deleted, deleted=True))
    world.raw("classified", 0, key=b"x", value=b"no record")
    world.flush()
    found = relabels_of_log(Settings(prefix=world.prefix, partitions=2), world.kafka)
    told = {text: LABELS[label] for text, label in zip(found.text, found.label.tolist(), strict=True)}
    assert told == {f"words of {HERE}": "praise", "words, mended": "complaint"}
    assert found.brand == ["andina"] * 2
