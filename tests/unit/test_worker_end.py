"""A worker that is told to stop ends in time, whatever its parts do."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import asyncio
import sys

from streams import worker as module
from streams.deciding_worker import DecidingWorker
from streams.kafka_connection import KafkaConnection
from streams.worker import WorkerSettings
from tests.support import toy

module._STOP_DEADLINE_S = 0.2


class Stubborn:
    async def stop(self):
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                pass


settings = WorkerSettings(kafka=KafkaConnection("nowhere:1"), prefix="t.", partitions=1)
worker = DecidingWorker(toy.PIPELINE, toy.PIPELINE.role("counts"), settings)
worker.app = Stubborn()


async def run():
    await worker._stop()
    return 7


worker.run = run
sys.exit(module.run_worker(worker))
"""


def test_a_part_that_passes_over_its_cancellation_holds_up_no_end() -> None:
    """As Faust's services do while they stop, one after the other."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 7, done.stderr
    assert "did not stop in time" in done.stdout + done.stderr
