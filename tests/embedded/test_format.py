"""A Kafka directory made from the kept format is one made by Kafka's own tool."""

from pathlib import Path

import pytest

from netcenter.broker.client import open_admin
from netcenter.embedded import EmbeddedKafka, kafka_server
from streams.kafka_connection import KafkaConnection


def _features(server: EmbeddedKafka) -> dict[str, object]:
    """What the cluster says it was formatted with, and the names of the ids it keeps."""
    admin = open_admin(KafkaConnection(server.start()))
    try:
        features = {
            # Not its epoch: that is how far the metadata log has come, and it grows all the time.
            name: {key: value for key, value in feature.items() if key != "finalized_epoch"}
            for name, feature in admin.describe_features().items()
        }
    finally:
        admin.close()
        server.kill()
    return {"features": features, "ids": sorted(_ids(server))}


def _ids(server: EmbeddedKafka) -> dict[str, str]:
    lines = (server.directory / "data" / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_the_kept_format_gives_the_same_features_as_kafkas_own_tool_and_ids_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "cache"
    kept.mkdir()
    monkeypatch.setattr(kafka_server, "cache", lambda: kept)
    by_tool, by_copy = EmbeddedKafka(tmp_path / "tool"), EmbeddedKafka(tmp_path / "copy")
    features = _features(by_tool)
    assert list(kept.iterdir()), "nothing was kept, so the second would be made by the tool too"
    monkeypatch.setattr(EmbeddedKafka, "_format_with_kafkas_tool", None)
    assert _features(by_copy) == features
    ours, tools = _ids(by_copy), _ids(by_tool)
    assert ours["cluster.id"] != tools["cluster.id"]
    assert ours["directory.id"] != tools["directory.id"]
