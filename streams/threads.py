"""Runs blocking work in a daemon thread: the process can end without waiting for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T], name: str) -> asyncio.Future[T]:
    """A future of what `work` returns or raises. An executor would wait for its threads at the end of the process, even
    for threads that hang.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    # Retrieves the exception: the caller may no longer await the future, and asyncio would log it then.
    outcome.add_done_callback(lambda done: done.cancelled() or done.exception())

    def settle(set_it: Callable[[], None]) -> None:
        if not outcome.done():
            set_it()

    def run() -> None:
        try:
            found = work()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            raised = error
            tell = lambda: outcome.set_exception(raised)  # noqa: E731
        else:
            tell = lambda: outcome.set_result(found)  # noqa: E731
        with suppress(RuntimeError):  # the event loop is closed: nothing awaits the future any more
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, name=name, daemon=True).start()
    return outcome


async def first_of(seconds: float | None, *awaited: asyncio.Future[Any] | asyncio.Event) -> None:
    """Waits until one of these futures or events is done or set, or the time is over; None: without an end. Cancels nothing and raises no
    errors of theirs.
    """
    events = [asyncio.ensure_future(one.wait()) for one in awaited if isinstance(one, asyncio.Event)]
    futures = [one for one in awaited if not isinstance(one, asyncio.Event)]
    try:
        await asyncio.wait([*events, *futures], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for event in events:
            event.cancel()
