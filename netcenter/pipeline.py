"""The whole flow, in order: topics with their records, roles with their shape. Topics, workers and manifests follow it."""

from __future__ import annotations

from agents.alerts import AlertsDecider
from agents.cases import Cases
from agents.desk import DeskDecider
from agents.surge import SurgeDecider
from netcenter.runtime.factories import classify_stage, postgres_sink, webhook_sink
from schemas import keys
from schemas.records import (
    Action,
    Alert,
    Assigned,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ChannelChanged,
    ClassifiedMention,
    ClockChanged,
    ContactCount,
    CrisisClosed,
    CrisisDeclared,
    CrisisOpened,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    Mention,
    MentionUpdated,
    OfferAnswered,
    Offered,
    OperatorChanged,
    Overflowed,
    PolicyChanged,
    Reply,
    Returned,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    Tick,
    Volume,
    WorkChanged,
    WriterExcused,
)
from streams.topology import DAY, MIB, Batch, Fold, Pipeline, Role, Sink, Topic

SAID = (MentionUpdated, Reply, Action)
THREAD = (*SAID, Tick, PolicyChanged)
TIME = (Tick, WriterExcused, PolicyChanged)
CASE = (CaseOpened, CaseChanged, ClockChanged, CaseClosed, CaseReopened)
SURGE = (SurgeOpened, SurgeUpdated, SurgeClosed, CrisisOpened, CrisisClosed, ChannelChanged)
WORK = (Offered, Assigned, Returned, Overflowed, HoldingReplyDue, HoldingReplyCancelled, Escalated)
PEOPLE = (OperatorChanged, OfferAnswered)

TOPICS = (
    Topic("mentions", (Mention, *THREAD), key=keys.customer, public=False, inputs=(Mention, *SAID)),
    Topic("classified", (ClassifiedMention, *THREAD), key=keys.customer, limit=MIB + 64 * 1024),
    Topic(
        "volumes",
        (Volume, CrisisDeclared, ContactCount, *TIME),
        key=keys.brand,
        kept=400 * DAY,
        inputs=(CrisisDeclared, ContactCount),
    ),
    Topic("cases", CASE, key=keys.customer, kept=400 * DAY),
    Topic(
        "desk",
        (WorkChanged, CrisisOpened, CrisisClosed, *PEOPLE, Overflowed, *TIME),
        key=keys.work_desk,
        public=False,
        inputs=PEOPLE,
    ),
    Topic("assignments", WORK, key=keys.desk, kept=400 * DAY),
    Topic("surges", SURGE, key=keys.brand, kept=400 * DAY),
    Topic("signals", (*CASE, *SURGE, Returned, Escalated, *TIME), key=keys.brand, public=False),
    Topic("policy", (), key=keys.version, kept=None, public=False, partitions=1),
    Topic("alerts", (Alert,), key=keys.identity, kept=None),
)
PUBLIC = tuple(topic.name for topic in TOPICS if topic.public)

PIPELINE = Pipeline(
    topics=TOPICS,
    roles=(
        Role("classify", Batch(classify_stage, output_topic="classified"), ("mentions",), ("classified", "volumes")),
        Role("cases", Fold(Cases), ("classified",), ("cases", "desk", "signals")),
        Role("surge", Fold(SurgeDecider), ("volumes",), ("surges", "desk", "signals")),
        Role("desk", Fold(DeskDecider), ("desk",), ("assignments", "signals")),
        Role("alerts", Fold(AlertsDecider), ("signals",), ("alerts",)),
        Role("postgres", Sink(postgres_sink), (*PUBLIC, *(t.dead.name for t in TOPICS if t.records))),
        Role("webhook", Sink(webhook_sink), ("alerts",)),
    ),
)
