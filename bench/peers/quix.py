"""The job as in quixstreams' manual, with defaults: at least once, RocksDB, a changelog. Arguments: KAFKA GROUP OUT FOLDER."""

import sys

from quixstreams import Application

kafka, group, out, folder = sys.argv[1:]
app = Application(broker_address=kafka, consumer_group=group, auto_offset_reset="earliest", state_dir=folder)
mentions = app.topic("raw", value_deserializer="json")
counted = app.topic(out, value_serializer="json")


def count(post, state):  # noqa: ANN001, ANN201 - as the manual writes it
    """Count by author."""
    post["count"] = state.get("count", 0) + 1
    state.set("count", post["count"])
    return post


app.dataframe(mentions).apply(count, stateful=True).to_topic(counted)
app.run()
