"""Work that may hang, beside the event loop: whoever waits for it can be cancelled, and a process that ends leaves it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


async def beside(work: Callable[[], Any]) -> Any:
    """What work gives or raises, from a thread of its own.

    asyncio's own threads are waited for when the loop ends, for as long as a hanging server likes; this one is not.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def told(result: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)
        else:
            done.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - it belongs to who waits
            error = raised
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(told, result, error)

    threading.Thread(target=run, name="beside", daemon=True).start()
    return await done
