"""The job as in Faust's manual: an agent, a table, a send for each event. Arguments: KAFKA GROUP OUT FOLDER."""

import json
import sys

import faust

kafka, group, out, folder = sys.argv[1:]
app = faust.App(
    group,
    broker=f"kafka://{kafka}",
    store="memory://",
    topic_partitions=4,
    topic_replication_factor=1,
    topic_disable_leader=True,
    stream_wait_empty=False,
    web_enabled=False,
    datadir=folder,
)
raw = {"key_type": bytes, "key_serializer": "raw", "value_type": bytes, "value_serializer": "raw"}
mentions, counted = app.topic("raw", **raw), app.topic(out, **raw)
counts = app.Table("counts", default=int, partitions=4)


@app.agent(mentions)
async def count(stream):  # noqa: ANN001, ANN201 - as the manual writes it
    """Count by author."""
    async for event in stream.events():
        post = json.loads(event.value)
        counts[post["author"]] += 1
        post["count"] = counts[post["author"]]
        await counted.send(key=event.key, value=json.dumps(post).encode())


if __name__ == "__main__":
    sys.argv = ["faust", "worker", "-l", "warn", "--without-web"]
    app.main()
