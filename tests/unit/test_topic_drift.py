"""Each config that our topics set has a consequence to tell where a broker has another value."""

from __future__ import annotations

from netcenter.broker.topic_drift import LEADS_TO
from netcenter.broker.topics import required_topics
from netcenter.settings import Settings


def test_every_config_of_a_topic_has_a_consequence_where_it_differs() -> None:
    wanted = {name for topic in required_topics(Settings()) for name in topic.topic_configs}
    assert wanted <= LEADS_TO.keys()
