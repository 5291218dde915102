"""Every table of the projection: its columns, its key, which of two rows with the same key stays, and the comments on
columns.
"""

from __future__ import annotations

from schemas.records import (
    Action,
    Alert,
    AlertDelivery,
    Assigned,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    ClassifiedMention,
    ClockChanged,
    ContactCount,
    CrisisDeclared,
    CrisisOpened,
    Evidence,
    Mention,
    MentionUpdated,
    Offered,
    Reply,
    Returned,
    SurgeClosed,
    SurgeOpened,
    Volume,
)
from sinks.postgres.table import ProjectionTable, columns

_PLACE = ", partition int, offset int"

MENTIONS = ProjectionTable(
    "mentions",
    "A customer's post with the classifier's label. Updated by what was observed later (mention_updates).",
    columns(
        "id uuid, brand text, channel text, author_id text, native_id text, created_at time, "
        "received_at time, kind text, visibility text, lang text, conversation_id text, in_reply_to text, "
        "share_of text, author_followers int, reach int, promoted bool, post_id uuid, url text, "
        "author_name text, label text, confidence float, uncertain bool, classified_lang text, own bool, "
        "probabilities floats, model text, policy int, text text" + _PLACE
    ),
    key=("id",),
    topic="classified",
    records=(Mention, ClassifiedMention),
    words={
        "reach": "people who may have seen the post, by the newest observation; null: never observed",
        "shares": "how often the post was shared, by the newest observation; null: never observed",
        "promoted": "true: paid for by its author, by the newest observation",
        "deleted": "true: deleted by its author, by the newest observation",
        "hidden": "true: hidden by the network or the brand, by the newest observation",
        "text": "the customer's words, as last edited; NUL is replaced by U+FFFD",
    },
)
MENTION_UPDATES = ProjectionTable(
    "mention_updates",
    "What was observed of a post later. Kept because an update may be read before its post.",
    columns(
        "id uuid, mention_id uuid, brand text, channel text, author_id text, native_id text, "
        "observed_at time, received_at time, reach int, shares int, promoted bool, deleted bool, "
        "hidden bool, text text" + _PLACE
    ),
    key=("id",),
    topic="classified",
    records=(MentionUpdated,),
    words={"mention_id": "the post: mentions.id"},
)
REPLIES = ProjectionTable(
    "replies",
    "The brand's answer to a customer.",
    columns(
        "id uuid, brand text, channel text, author_id text, native_id text, created_at time, "
        "received_at time, kind text, visibility text, operator text, app text, conversation_id text, "
        "in_reply_to text, url text, text text" + _PLACE
    ),
    key=("id",),
    topic="classified",
    records=(Reply,),
)
ACTIONS = ProjectionTable(
    "actions",
    "What an operator did to a customer's case.",
    columns(
        "id uuid, brand text, channel text, author_id text, action_id text, action text, created_at time, "
        "received_at time, operator text, native_id text, label text, no_reply text, desk text, "
        "until time, note text" + _PLACE
    ),
    key=("id",),
    topic="classified",
    records=(Action,),
)
VOLUMES = ProjectionTable(
    "volumes",
    "Posts of a brand in one minute and one partition of mentions. A later offset replaces an earlier one.",
    columns(
        "brand text, minute time, partition int, offset int, id uuid, posts int, authors int, reach int, "
        "counts json, conversations json, late int, older int"
    ),
    key=("brand", "minute", "partition"),
    newest=("offset",),
    records=(Volume,),
    words={
        "partition": "the partition of topic mentions in which the posts stand",
        "offset": "the offset in mentions up to and including which the posts are counted",
        "posts": "posts, the sum of counts; further ones are in late and older",
        "late": "posts made earlier than five minutes before the minute, at most three hours; null: of release 0.1.0",
        "older": "posts made even earlier; null: of release 0.1.0",
        "counts": "posts by channel, kind and label: [{channel, kind, label, count}]",
        "conversations": "the 200 largest conversations that others joined: [{root, channel, posts, complaints}]",
    },
)
CONTACTS = ProjectionTable(
    "contacts",
    "Contacts of a minute, or of several together, that were counted outside, calls for instance.",
    columns("id uuid, brand text, source text, minute time, count int, minutes int" + _PLACE),
    key=("id",),
    topic="volumes",
    records=(ContactCount,),
)
CRISIS_DECLARATIONS = ProjectionTable(
    "crisis_declarations",
    "A person's declaration that a crisis begins or ends.",
    columns("id uuid, brand text, change text, by text, reason text, at time" + _PLACE),
    key=("id",),
    topic="volumes",
    records=(CrisisDeclared,),
)
_DECIDED = "seq int, type text, time time, cause uuid, policy int, reason text"
_DETAIL = "the record's fields that have no column of their own; times are RFC 3339"
_TYPE = "the record's name"
CASE_EVENTS = ProjectionTable(
    "case_events",
    "An event of a case or of one of its clocks.",
    columns(
        f"id uuid, case_id uuid, {_DECIDED}, change text, close_reason text, brand text, channel text, author_id text, "
        "desk text, detail json, source_offset int" + _PLACE
    ),
    key=("id",),
    topic="cases",
    records=(CaseOpened, CaseChanged, ClockChanged, CaseClosed),
    words={
        "case_id": "the case: cases.case_id; the record's aggregate",
        "type": _TYPE,
        "change": "what changed, of a CaseChanged or ClockChanged; null for other types",
        "close_reason": "what closed the case, of a CaseClosed; null for other types",
        "author_id": "the customer; empty: they were forgotten, and detail with them",
        "detail": _DETAIL,
        "source_offset": "offset in topic classified of the record that led to the event; null: not known",
    },
)
CASES = ProjectionTable(
    "cases",
    "A case as it stands: the fold of its events in case_events.",
    columns(
        "case_id uuid, brand text, channel text, author_id text, desk text, label text, priority int, "
        "mode text, state text, lang text, visibility text, conversation text, zone text, reach int, followers int, "
        "promoted bool, posts int, first_mention_id uuid, last_mention_id uuid, url text, opened_at time, "
        "changed_at time, answered_at time, answers int, answered_privately bool, operator text, closed_at time, "
        "close_reason text, reopened int, muted_until time, policy int, reason text, seq int"
    ),
    key=("case_id",),
    newest=("seq",),
    records=(CaseOpened, CaseChanged, CaseClosed),
    words={
        "case_id": "the case's id: case_events, clocks and assignments refer to it",
        "author_id": "the customer; empty: they were forgotten",
        "desk": "the desk that works on the case",
        "label": "the gravest label of its unanswered messages",
        "state": "open, waiting (for the customer) or closed",
        "visibility": "public or private, of the post that opened the case",
        "zone": "the brand's time zone, of the tz database; null: the opening event was never read",
        "reach": "people, the largest reach known of its posts",
        "promoted": "true: its customer has paid for one of its posts; null: none is known",
        "posts": "posts of the customer in the case",
        "first_mention_id": "the post that opened the case: mentions.id",
        "last_mention_id": "the customer's newest post in the case: mentions.id",
        "url": "where people can see the newest post",
        "opened_at": "when the case was opened",
        "changed_at": "when the event of seq was decided",
        "answered_at": "the first human reply, by its own time; null: none yet",
        "answers": "human replies",
        "answered_privately": "true: the first human reply was private",
        "operator": "who answered, acted or resolved last, if known",
        "closed_at": "when the case was closed; null: it is not",
        "close_reason": "what closed the case; null: it is not closed",
        "reopened": "how often the case was reopened",
        "muted_until": "until when the customer is muted; null: they never were",
        "policy": "version of the policy in force at the event of seq",
        "reason": "the reason of the event of seq",
        "seq": "the number of the newest event that is no ClockChanged: case_events.seq",
    },
)
CLOCKS = ProjectionTable(
    "clocks",
    "An SLA clock as it stands, one for each case, metric and cycle: the fold of its events in case_events.",
    columns(
        "case_id uuid, metric text, cycle int, brand text, channel text, author_id text, desk text, "
        "label text, state text, started_at time, due_at time, target_ms int, non_sla bool, warned int, "
        "met_at time, breached_at time, detected_at time, paused_at time, paused_ms int, rescinded_at time, "
        "late_arrival bool, privately bool, seq int"
    ),
    key=("case_id", "metric", "cycle"),
    newest=("seq",),
    records=(ClockChanged,),
    words={
        "case_id": "the case: cases.case_id",
        "author_id": "the customer; empty: they were forgotten",
        "label": "the label of the message that sets the due time",
        "state": "running, paused, met (in time), met_late or void",
        "due_at": "an answer exactly then is in time; null: no target, the clock only measures",
        "target_ms": "milliseconds of the service calendar between start and due_at; null: no target",
        "warned": "percent of the target that was used at the last warning; null: no warning yet",
        "breached_at": "when the clock became overdue; null also where the breach was rescinded: case_events keeps the history",
        "paused_at": "since when the clock is paused; null: it is not",
        "paused_ms": "milliseconds of all pauses that have ended: left out of the time that is measured",
        "rescinded_at": "when the last breach was rescinded; null: none was",
        "seq": "the clock's newest event: case_events.seq",
    },
)
ASSIGNMENTS = ProjectionTable(
    "assignments",
    "An event of a desk: who was offered a case, who took it, how it came back, where it went, and who was asked for it.",
    columns(
        f"id uuid, work_id uuid, {_DECIDED}, case_id uuid, desk text, brand text, operator text, "
        "offer_id uuid, detail json" + _PLACE
    ),
    key=("id",),
    topic="assignments",
    records=(Offered, Assigned, Returned),
    words={
        "work_id": "one round of work on a case; the record's aggregate",
        "type": _TYPE,
        "case_id": "the case: cases.case_id",
        "desk": "the desk whose queue it is",
        "operator": "to whom the case was offered, who took it, or who returned it; null for other types",
        "offer_id": "the offer: assignments.id of the row with type Offered; null for other types",
        "detail": _DETAIL,
    },
)
SURGE_EVENTS = ProjectionTable(
    "surge_events",
    "An event of a surge, a crisis or a channel that fell silent.",
    columns(
        f"id uuid, surge_id uuid, crisis_id uuid, channel_id uuid, {_DECIDED}, brand text, mode text, detail json"
        + _PLACE
    ),
    key=("id",),
    topic="surges",
    records=(SurgeOpened, CrisisOpened),
    words={
        "surge_id": "the surge: surges.surge_id; of a CrisisOpened the surge that led to it, if any; null for other types",
        "crisis_id": "the crisis, of a CrisisOpened or CrisisClosed; null for other types",
        "channel_id": "the brand's channel, of a ChannelChanged; null for other types",
        "seq": "1, 2, 3 within the surge, crisis or channel, no gaps",
        "type": _TYPE,
        "detail": _DETAIL,
    },
)
SURGES = ProjectionTable(
    "surges",
    "A surge as it stands: the fold of its events in surge_events.",
    columns(
        "surge_id uuid, brand text, mode text, state text, detector text, scope text, name text, "
        "started_at time, opened_at time, changed_at time, ended_at time, close_reason text, actual float, "
        "baseline float, ratio float, peak float, excess float, evidence json, policy int, reason text, "
        "seq int"
    ),
    key=("surge_id",),
    newest=("seq",),
    records=(SurgeOpened, SurgeClosed, Evidence),
    words={
        "surge_id": "the surge's id: surge_events refers to it",
        "brand": "the brand that the posts are about",
        "state": "open or closed",
        "opened_at": "when the surge was opened",
        "changed_at": "when its newest event was decided",
        "started_at": "start of the window that showed the surge",
        "ended_at": "end of the window that closed the surge; null: it is open",
        "close_reason": "what closed the surge; null: it is open",
        "peak": "the largest ratio",
        "excess": "posts above the baseline while the surge was open; null: it is open",
        "evidence": "the newest evidence, whole; times are RFC 3339",
        "policy": "version of the policy in force at the newest event",
        "reason": "the reason of the newest event",
        "seq": "the newest event's number: surge_events.seq",
    },
)
_ALERT = (
    "fingerprint text, version int, id uuid, state text, kind text, severity text, brand text, mode text, "
    "summary text, starts_at time, ends_at time, time time, cause uuid, policy int, reason text, "
    "evidence json, links json, receivers json, texts json, withheld text"
)
ALERT_EVENTS = ProjectionTable(
    "alert_events",
    "A version of an alert.",
    columns(_ALERT + _PLACE),
    key=("id",),
    topic="alerts",
    records=(Alert,),
)
# When an alert fires again after it was forgotten, its versions start at 1 again, with a later `starts_at`.
ALERTS = ProjectionTable(
    "alerts",
    "An alert in its newest version.",
    columns(_ALERT),
    key=("fingerprint",),
    newest=("starts_at", "version"),
    records=(Alert,),
    words={"id": "the newest version: alert_events.id"},
)
ALERT_DELIVERIES = ProjectionTable(
    "alert_deliveries",
    "What became of a version of an alert at one receiver, as far as it is known.",
    columns(
        "receiver text, fingerprint text, starts_at time, version int, id uuid, alert_id uuid, brand text, state text, "
        "severity text, outcome text, answer text, attempts int, at time, reference text"
    ),
    key=("receiver", "alert_id"),
    newest=("at",),
    records=(AlertDelivery,),
)
DEAD_LETTERS = ProjectionTable(
    "dead_letters",
    "A record that could not be handled, without its text.",
    columns("topic text, partition int, offset int, stage text, error text, message text, at time"),
    key=("topic", "partition", "offset"),
    newest=("at",),
    words={
        "topic": "the topic in which the record stands",
        "partition": "the record's partition",
        "offset": "the record's offset",
        "stage": "where it failed: decode, decide, sink, or unknown",
        "error": "the error's class; null: the dead letter does not say",
        "message": "why it failed, without the record's words; null: the dead letter does not say",
        "at": "when it was written to the dead letters, by the broker's clock",
    },
)

#: The tables in the order in which a batch fills them.
TABLES = (
    MENTIONS,
    MENTION_UPDATES,
    REPLIES,
    ACTIONS,
    VOLUMES,
    CONTACTS,
    CRISIS_DECLARATIONS,
    CASE_EVENTS,
    CASES,
    CLOCKS,
    ASSIGNMENTS,
    SURGE_EVENTS,
    SURGES,
    ALERT_EVENTS,
    ALERTS,
    ALERT_DELIVERIES,
    DEAD_LETTERS,
)
#: SQL that makes every temporary table which this session lacks.
CREATE_STAGES = "; ".join(table.create_stage() for table in TABLES)
#: Tables for the sink's own use: each with the comment on the table and the comments on its columns.
KEPT: dict[str, tuple[str, dict[str, str]]] = {
    "sink_offsets": (
        "How far the sink has read each partition; written in the transaction of the rows.",
        {
            "topic": "the topic's name, without a prefix",
            "partition": "the partition",
            "next": "the first offset that is not in these tables yet",
            "prefix": "the prefix of the topics that these tables are filled from; null until a worker of this release writes",
        },
    ),
    "forgotten": (
        "Customers who were forgotten: nothing of theirs from before is written again, also when the log is read anew.",
        {
            "customer": "SHA-256 of brand|channel|author_id, hexadecimal",
            "partition": "partition of topic classified in which the request to forget stands",
            "offset": "the request's offset; what comes after it is kept",
            "at": "when it was asked for",
        },
    ),
}
