"""The whole pipeline, in the order of its flow: topics with their records, roles with their shape. Topics, workers,
manifests, checks and the tables of the documentation are made from this module. A new receiver is a folder under
`sinks/`, with its settings, and one Role here.
"""

from __future__ import annotations

from functools import partial

from agents import alerts, cases, desk, surge
from netcenter.runtime.classifiers import ClassifierSettings, classify_stage, lacks_model
from netcenter.runtime.endpoints import alert_sink, http_alert_sink, postgres_sink
from schemas import keys
from schemas.records import (
    Action,
    Alert,
    AlertDelivery,
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
    SourceIdle,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    Tick,
    Volume,
    WorkChanged,
)
from sinks.alertmanager.settings import AlertmanagerSettings, alertmanager_receiver
from sinks.chat.settings import ChatSettings, chat_receiver
from sinks.pagerduty.settings import PagerDutySettings, pagerduty_receiver
from sinks.postgres.settings import PostgresSettings
from sinks.slack.settings import SlackSettings, slack_receiver
from sinks.webhook.settings import WebhookSettings, webhook_receiver
from streams.topology import DAY, HOUR, MIB, POLICY_TOPIC, Batch, Fold, Pipeline, Role, SecretFile, Sink, Topic

SAID = (MentionUpdated, Reply, Action)
"""Records about things that happen to a mention after it was posted."""
THREAD = (*SAID, Tick, PolicyChanged)
"""Records in the same partition as the customer's mentions, in the same order in `mentions` and in `classified`."""
TIME = (Tick, SourceIdle, PolicyChanged)
"""Records that tell a role which merges several partitions the watermark and the policy."""
CASE = (CaseOpened, CaseChanged, ClockChanged, CaseClosed, CaseReopened)
SURGE = (SurgeOpened, SurgeUpdated, SurgeClosed, CrisisOpened, CrisisClosed, ChannelChanged)
WORK = (Offered, Assigned, Returned, Overflowed, HoldingReplyDue, HoldingReplyCancelled, Escalated)
PEOPLE = (OperatorChanged, OfferAnswered)
"""Records about operators. Tools write them, no role does."""
CLIMBING = (Escalated, Assigned)
"""Records of a desk from which alerts of escalated cases follow."""
ALERTING = (WorkChanged, *CLIMBING, *SURGE)
"""Records from which alerts follow."""

TOPICS = (
    Topic(
        "mentions",
        (Mention, *THREAD),
        key=keys.customer,
        public=False,
        open=(Mention, MentionUpdated, Reply),
        operators=(Action,),
    ),
    Topic("classified", (ClassifiedMention, *THREAD), key=keys.customer, limit=MIB + 64 * 1024),
    Topic(
        "volumes",
        (Volume, CrisisDeclared, ContactCount, *TIME),
        key=keys.brand,
        kept=400 * DAY,
        open=(ContactCount,),
        operators=(CrisisDeclared,),
    ),
    Topic("cases", CASE, key=keys.customer, kept=400 * DAY),
    Topic(
        "desk",
        (WorkChanged, CrisisOpened, CrisisClosed, *PEOPLE, *TIME),
        key=keys.all_desks,
        public=False,
        operators=PEOPLE,
        later=(CrisisOpened, CrisisClosed),
        earlier_key=keys.desk,
    ),
    Topic("assignments", WORK, key=keys.desk, kept=400 * DAY),
    Topic("surges", SURGE, key=keys.brand, kept=400 * DAY),
    Topic(
        "signals",
        (*ALERTING, *TIME),
        key=keys.brand,
        public=False,
        earlier=(ClockChanged, CaseClosed),
        later=(WorkChanged, *CLIMBING),
    ),
    Topic("watermarks", (), key=keys.tick_writer, kept=HOUR, segment=HOUR // 6, public=False, partitions=1),
    Topic(POLICY_TOPIC, (), key=keys.version, kept=None, public=False, partitions=1),
    Topic("alerts", (Alert,), key=keys.fingerprint, kept=None),
    Topic("deliveries", (AlertDelivery,), key=keys.delivery, kept=90 * DAY, partitions=1),
)
PUBLIC = tuple(topic.name for topic in TOPICS if topic.public)
DEAD = tuple(topic.dead.name for topic in TOPICS if topic.records)
PROJECTION = "postgres"
"""The role that `netcenter rebuild`, `forget` and `doctor` refer to by name, because these commands are about
PostgreSQL.
"""

PIPELINE = Pipeline(
    topics=TOPICS,
    roles=(
        Role(
            "classify",
            Batch(classify_stage, "classified", settings=ClassifierSettings),
            ("mentions",),
            ("classified", "volumes", "watermarks"),
            lacks=lacks_model,
        ),
        Role(
            "cases",
            Fold(
                cases.CasesDecider, earlier_decider=partial(cases.CasesDecider, together=False), carried=cases.carried
            ),
            ("classified",),
            ("cases", "desk", "signals", "watermarks"),
        ),
        Role(
            "surge",
            Fold(surge.SurgeDecider, forms=surge.FORMS, carried=surge.carried),
            ("volumes",),
            ("surges", "desk", "signals", "watermarks"),
            later_writes=("desk",),
        ),
        Role(
            "desk",
            Fold(
                desk.DeskDecider,
                earlier_decider=partial(desk.DeskDecider, together=False),
                forms=desk.FORMS,
                carried=desk.carried,
            ),
            ("desk",),
            ("assignments", "signals", "watermarks"),
            later_writes=("signals", "watermarks"),
        ),
        Role(
            "alerts", Fold(alerts.AlertsDecider, forms=alerts.FORMS, carried=alerts.carried), ("signals",), ("alerts",)
        ),
        Role(
            PROJECTION,
            Sink(PostgresSettings, postgres_sink, "PostgreSQL"),
            (*PUBLIC, *DEAD),
            port=5432,
            secret=SecretFile("postgres_file", "uri"),
        ),
        Role(
            "webhook",
            Sink(WebhookSettings, partial(http_alert_sink, "webhook", webhook_receiver), "your receiver"),
            ("alerts",),
            ("deliveries",),
            enabled_by="webhook_url",
            port=443,
            secret=SecretFile("webhook_secret_file", "secret"),
            examples={"webhook_url": "https://alerts.example.com/netcenter"},
        ),
        Role(
            "alertmanager",
            Sink(AlertmanagerSettings, partial(http_alert_sink, "alertmanager", alertmanager_receiver), "Alertmanager"),
            ("alerts",),
            ("deliveries",),
            enabled_by="alertmanager_urls",
            in_base=False,
            port=9093,
        ),
        Role(
            "pagerduty",
            Sink(PagerDutySettings, partial(http_alert_sink, "pagerduty", pagerduty_receiver), "PagerDuty"),
            ("alerts",),
            ("deliveries",),
            enabled_by="pagerduty_url",
            in_base=False,
            port=443,
            secret=SecretFile("pagerduty_routing_key_file", "key"),
        ),
        Role(
            "slack",
            Sink(SlackSettings, partial(http_alert_sink, "slack", slack_receiver), "Slack"),
            ("alerts",),
            ("deliveries",),
            enabled_by="slack_channel",
            in_base=False,
            port=443,
            secret=SecretFile("slack_token_file", "token"),
        ),
        Role(
            "chat",
            Sink(ChatSettings, partial(alert_sink, "chat", chat_receiver), "chat rooms and mailboxes"),
            ("alerts",),
            ("deliveries",),
            enabled_by="chat_urls_file",
            in_base=False,
            port=443,
            secret=SecretFile("chat_urls_file", "urls"),
        ),
    ),
)
