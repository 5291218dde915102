"""Every record of Netcenter, field by field: the one source of the typed classes and of the `.avsc` files.

A field's annotation says its unit and who sets it. Times are milliseconds since the epoch, UTC. Fields that every
reader needs come first and texts last, so that a reader of the prefix can stop early. A field that no rule sets yet
is optional with a default. The glossary, one line per record:

| Record | Emitted by | Read by | Key |
|---|---|---|---|
| Mention, MentionUpdated, Reply, Action | producers, `netcenter ingest` | classify | customer |
| Tick | `ingest` or the clock; handed on by every role | every role | (each partition) |
| PolicyChanged | `netcenter policy apply`; handed on | every deciding role | (each partition) |
| SourceIdle | the owner of an input topic partition | that partition's role | (that partition) |
| ClassifiedMention | classify | cases, consumers | customer |
| Volume | classify | surge, consumers | brand |
| CrisisDeclared, ContactCount | producers, `ingest` | surge | brand |
| CaseOpened, CaseChanged, ClockChanged, CaseClosed, CaseReopened | cases | alerts, consumers | customer |
| WorkChanged | cases | desk, alerts | desk |
| OperatorChanged, OfferAnswered | `netcenter operators`, consoles | desk | desk |
| Offered, Assigned, Returned, Overflowed, HoldingReplyDue, HoldingReplyCancelled, Escalated | desk | consumers | desk |
| SurgeOpened, SurgeUpdated, SurgeClosed, CrisisOpened, CrisisClosed, ChannelChanged | surge | alerts, desk | brand |
| Alert | alerts | the receivers, consumers | fingerprint |
"""

from __future__ import annotations

from typing import Annotated as A
from typing import Any, Literal

import msgspec

Label = Literal["complaint", "question", "praise", "other"]
Kind = Literal["post", "comment", "share", "quote", "review", "message"]
Visibility = Literal["public", "private"]
Language = Literal["es", "pt", "en", "und"]
ReplyKind = Literal["human", "automatic", "holding"]
ActionKind = Literal[
    "resolve", "reopen", "relabel", "no_reply", "wait", "transfer", "escalate", "mute", "forget", "unknown"
]
NoReply = Literal["spam", "troll", "duplicate", "not_ours", "unknown"]
Clock = Literal["wall", "event"]
Mode = Literal["shadow", "live"]
Metric = Literal["first_response", "next_response", "resolution", "unknown"]
ClockChange = Literal[
    "started",
    "tightened",
    "loosened",
    "warned",
    "met",
    "breached",
    "rescinded",
    "paused",
    "resumed",
    "voided",
    "unknown",
]
CaseChange = Literal[
    "post_added",
    "label",
    "priority",
    "answered",
    "waiting",
    "muted",
    "dismissed",
    "transferred",
    "escalated",
    "unknown",
]
CloseReason = Literal[
    "resolved", "silence", "no_target", "no_reply", "deleted_unanswered", "muted", "forgotten", "unknown"
]
WorkChange = Literal["queued", "changed", "answered", "withdrawn", "unknown"]
Presence = Literal["signed_in", "renewed", "signed_out", "unknown", "paused", "resumed"]
OfferAnswer = Literal["accepted", "declined", "unknown"]
ReturnReason = Literal[
    "declined", "timed_out", "signed_out", "lapsed", "unknown", "unanswered", "escalated", "no_room", "paused"
]
Suppression = Literal["customer", "account", "conversation", "unknown"]
Rung = Literal["operator", "responsible", "lead", "unknown"]
OpenClose = Literal["open", "close", "unknown"]
Detector = Literal["ratio", "burst", "load", "conversation", "declared", "unknown"]
Scope = Literal["brand", "channel", "complaints", "contacts", "conversation", "unknown"]
SurgeEnd = Literal["over", "new_normal", "unknown"]
Hearing = Literal["silent", "heard", "unknown"]
Crowd = Literal["many", "few", "copies"]
Trend = Literal["steady", "rising", "falling"]
AlertState = Literal["firing", "resolved", "unknown"]
AlertKind = Literal["crisis", "surge", "sla_breach", "escalation", "channel_silent", "test", "unknown"]
DeliveryOutcome = Literal["accepted", "waiting", "refused", "passed_over", "unknown"]
Severity = Literal["info", "warning", "page", "unknown"]

#: Each enumeration's name in Avro, and the symbol that a reader takes for one that it does not know.
ENUMS: dict[Any, tuple[str, str]] = {
    Label: ("Label", "other"),
    Kind: ("Kind", "post"),
    Visibility: ("Visibility", "public"),
    Language: ("Language", "und"),
    ReplyKind: ("ReplyKind", "automatic"),
    ActionKind: ("ActionKind", "unknown"),
    NoReply: ("NoReply", "unknown"),
    Clock: ("Clock", "wall"),
    Mode: ("Mode", "shadow"),
    Metric: ("Metric", "unknown"),
    ClockChange: ("ClockChange", "unknown"),
    CaseChange: ("CaseChange", "unknown"),
    CloseReason: ("CloseReason", "unknown"),
    WorkChange: ("WorkChange", "unknown"),
    Presence: ("Presence", "unknown"),
    OfferAnswer: ("OfferAnswer", "unknown"),
    ReturnReason: ("ReturnReason", "unknown"),
    Suppression: ("Suppression", "unknown"),
    Rung: ("Rung", "unknown"),
    OpenClose: ("OpenClose", "unknown"),
    Detector: ("Detector", "unknown"),
    Scope: ("Scope", "unknown"),
    SurgeEnd: ("SurgeEnd", "unknown"),
    Hearing: ("Hearing", "unknown"),
    Crowd: ("Crowd", "many"),
    Trend: ("Trend", "steady"),
    AlertState: ("AlertState", "unknown"),
    AlertKind: ("AlertKind", "unknown"),
    DeliveryOutcome: ("DeliveryOutcome", "unknown"),
    Severity: ("Severity", "unknown"),
}


class Instant:
    """Marks an integer as a moment: see `Time`."""


#: A moment: milliseconds since the epoch, UTC. Avro says `timestamp-millis`, JSON shows RFC 3339, PostgreSQL
#: `timestamptz`. To Python and msgspec it is an int like any other. A plain int is never a moment: it is a count, a
#: number or an offset, or a duration in milliseconds, and then its name ends in `_ms`.
Time = A[int, Instant]


class Record(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """Base of all records, topic values and their nested parts alike."""


class Decided(Record, kw_only=True, frozen=True, gc=False):
    """The fields at the beginning of every decided event.

    `aggregate` is the id of the case, round of work, surge, crisis, channel or alert whose history the event belongs to.
    That is its name in Python, where the engine treats all of them alike. In Avro, JSON and PostgreSQL the field has
    the name of the thing, as each subclass says: `case_id`, `work_id`, `surge_id`, `crisis_id`, `channel_id`.
    """

    id: A[str, "UUIDv5 over the aggregate and seq (an alert: and starts_at); set by the deciding role"]
    aggregate: A[str, "the thing whose history the event belongs to; set by the deciding role"]
    seq: A[int, "1, 2, 3 within that history, no gaps; set by the deciding role"]
    time: A[Time, "the event time of the decision (a timer's own time, else the watermark at the fact)"]
    cause: A[str, "id of the fact that led here (a timer's id for a timer); set by the role"]
    policy: A[int, "version of the policy in force; set by the role"]
    reason: A[str, "why, for people and programs: a word, a colon, the rule, threshold or candidates"]


def subject_of(cls: type[Decided]) -> str:
    """The name of `aggregate` in Avro, JSON and PostgreSQL: `case_id` of a CaseOpened."""
    return cls.__struct_encode_fields__[cls.__struct_fields__.index("aggregate")]


class CaseEvent(Decided, kw_only=True, frozen=True, gc=False):
    """An event of a case or of one of its clocks."""

    aggregate: A[str, "the case; set by cases"] = msgspec.field(name="case_id")


class WorkEvent(Decided, kw_only=True, frozen=True, gc=False):
    """An event of one round of work on a case: from queueing to the answer."""

    aggregate: A[str, "the round of work on the case; set by cases"] = msgspec.field(name="work_id")


class SurgeEvent(Decided, kw_only=True, frozen=True, gc=False):
    """An event of a surge."""

    aggregate: A[str, "the surge; set by surge"] = msgspec.field(name="surge_id")


class CrisisEvent(Decided, kw_only=True, frozen=True, gc=False):
    """An event of a crisis."""

    aggregate: A[str, "the crisis; set by surge"] = msgspec.field(name="crisis_id")


# --- mentions: what the networks and the tools deliver -----------------------------------------------------------


class Mention(Record, kw_only=True, frozen=True, gc=False):
    """A customer's post that concerns a brand."""

    id: A[str, "UUIDv5(mention: brand|channel|native_id); set by the producer"]
    brand: A[str, "[a-z0-9_-]+; set by the producer"]
    channel: A[str, "the network, [a-z0-9_-]+; set by the producer"]
    author_id: A[str, "the network's id of the customer; set by the producer"]
    native_id: A[str, "the network's id of the post; set by the producer"]
    created_at: A[Time, "when the customer posted, by the network"]
    received_at: A[Time | None, "when the producer got it"] = None
    kind: A[Kind, "what sort of post; set by the producer"] = "post"
    visibility: A[Visibility, "private for messages; set by the producer"] = "public"
    lang: A[str, "BCP 47 tag as the network gives it, empty when unknown"] = ""
    conversation_id: A[str | None, "native_id of the conversation's first post; by the network"] = None
    in_reply_to: A[str | None, "native_id of the post that this one answers; by the network"] = None
    share_of: A[str | None, "native_id of the post shared or quoted; by the network"] = None
    author_followers: A[int | None, "people; by the network"] = None
    reach: A[int | None, "people who may have seen it; by the network"] = None
    promoted: A[bool, "paid for by its author; by the network"] = False
    post_id: A[str, "UUIDv5(post: channel|native_id), joins a post that concerns two brands"] = ""
    url: A[str | None, "where people can see it; by the network"] = None
    author_name: A[str | None, "as shown by the network"] = None
    text: A[str, "the customer's words, as the network gives them"] = ""


class MentionUpdated(Record, kw_only=True, frozen=True, gc=False):
    """Something learnt later about a post."""

    id: A[
        str,
        "UUIDv5(update: brand|channel|observed_at|reach|shares|promoted|deleted|hidden|SHA-256 of text|native_id), "
        "what is null left empty; set by the producer",
    ]
    brand: A[str, "as of the Mention"]
    channel: A[str, "as of the Mention"]
    author_id: A[str, "as of the Mention"]
    native_id: A[str, "the post that changed"]
    observed_at: A[Time, "when the producer saw the change"]
    received_at: A[Time | None, "when the producer got it"] = None
    reach: A[int | None, "people; null: not observed"] = None
    shares: A[int | None, "count; null: not observed"] = None
    promoted: A[bool | None, "null: not observed"] = None
    deleted: A[bool | None, "deleted by its author; null: not observed"] = None
    hidden: A[bool | None, "hidden by the network or the brand; null: not observed"] = None
    text: A[str | None, "the new words when edited; null: unchanged"] = None
    label: A[Label | None, "of the new words; set by classify where there are some, as all below"] = None
    confidence: A[float | None, "0..1, calibrated probability of the label"] = None
    uncertain: A[bool | None, "confidence is under the policy's threshold"] = None
    classified_lang: A[Language | None, "the language classified in"] = None


class Reply(Record, kw_only=True, frozen=True, gc=False):
    """The brand's own answer to a customer, from whatever tool."""

    id: A[str, "UUIDv5(reply: brand|channel|native_id); set by the producer"]
    brand: A[str, "who answers; set by the producer"]
    channel: A[str, "the network; set by the producer"]
    author_id: A[str, "the customer who is answered; set by the producer"]
    native_id: A[str, "the network's id of the answer"]
    created_at: A[Time, "when it was posted, by the network"]
    received_at: A[Time | None, "when the producer got it"] = None
    kind: A[ReplyKind, "only a human reply stops a clock; set by the producer"] = "human"
    visibility: A[Visibility, "private for messages"] = "public"
    operator: A[str | None, "who wrote it, if known"] = None
    app: A[str | None, "the tool it came from, if known"] = None
    conversation_id: A[str | None, "native_id of the conversation's first post"] = None
    in_reply_to: A[str | None, "native_id of the post that is answered"] = None
    url: A[str | None, "where people can see it"] = None
    text: A[str, "the brand's words"] = ""


class Action(Record, kw_only=True, frozen=True, gc=False):
    """An operator's action on a customer's case."""

    id: A[str, "UUIDv5(action: brand|channel|action_id); set by the producer"]
    brand: A[str, "set by the producer"]
    channel: A[str, "set by the producer"]
    author_id: A[str, "the customer whose case it is"]
    action_id: A[str, "the tool's own id of the action"]
    action: A[ActionKind, "what is done"]
    created_at: A[Time, "when it was done, by the tool"]
    received_at: A[Time | None, "when the producer got it"] = None
    operator: A[str | None, "who did it"] = None
    native_id: A[str | None, "the post meant, for relabel and no_reply"] = None
    label: A[Label | None, "the right label, for relabel"] = None
    no_reply: A[NoReply | None, "the reason, for no_reply"] = None
    desk: A[str | None, "the desk to which the case goes, for transfer"] = None
    until: A[Time | None, "the end of the mute, for mute"] = None
    note: A[str | None, "the operator's words"] = None


class Tick(Record, kw_only=True, frozen=True, gc=False):
    """The watermark as a record: its writer will write nothing more whose time is before `time`."""

    clock: A[Clock, "whose clock the log follows; set by `topics apply`, carried by every Tick"]
    time: A[Time, "0 declares the clock only; on wall, in mentions, the broker's stamp holds instead"]
    role: A[str, "the writer's role: `clock` in mentions, else the role that hands it on"]
    partition: A[int, "the writer's own input topic partition"]


class PolicyChanged(Record, kw_only=True, frozen=True, gc=False):
    """A policy holds from here on, if its version is higher than the one in force."""

    version: A[int, "1, 2, 3; set by `policy apply`"]
    hash: A[str, "SHA-256 of the policy's text, hex"]
    applied_at: A[Time, "wall time of `policy apply`, for people"]


class SourceIdle(Record, kw_only=True, frozen=True, gc=False):
    """A writer of Ticks is idle: the watermark advances without it until its next Tick."""

    role: A[str, "the silent writer's role; set by the owner of this input topic partition"]
    partition: A[int, "the silent writer's input topic partition"]
    silent_ms: A[int, "ms; how long it had been silent, by the owner's clock"]


# --- classified and volumes --------------------------------------------------------------------------------------


class ClassifiedMention(Record, kw_only=True, frozen=True, gc=False):
    """A Mention with the classifier's judgement; the Mention's own bytes follow unchanged."""

    label: A[Label, "what the care team must do with it; set by classify"]
    confidence: A[float, "0..1, calibrated probability of the label; set by classify"]
    uncertain: A[bool, "confidence is under the policy's threshold; set by classify"]
    classified_lang: A[Language, "the language classified in; set by classify"]
    own: A[bool, "written by one of the brand's own accounts: no case, no volume; set by classify"]
    probabilities: A[list[float], "complaint, question, praise, other; sum 1; set by classify"]
    model: A[str, "SHA-256 of the classifier's artefact, first 16 hex digits; set by classify"]
    policy: A[int, "version of the policy in force; set by classify"]
    addressed: A[bool, "no comment, or one whose words name the brand or its accounts; set by classify"] = True
    mention: A[Mention, "the Mention as it came"]


class VolumeCount(Record, kw_only=True, frozen=True, gc=False):
    """Posts of one channel, kind and label in a minute."""

    channel: A[str, "the network"]
    kind: A[Kind, "what sort of post"]
    label: A[Label, "the classifier's"]
    count: A[int, "posts"]


class ConversationCount(Record, kw_only=True, frozen=True, gc=False):
    """Posts by which others joined one conversation in a minute."""

    root: A[str, "native_id of the conversation's root: share_of, else conversation_id"]
    channel: A[str, "the network"]
    posts: A[int, "comments, quotes and shares"]
    complaints: A[int, "of these, complaints"]
    root_author: A[str | None, "author_id of the root post, where it was seen in this minute"] = None
    shares: A[int, "of the posts, shares, which have no words of their own"] = 0


class AuthorCount(Record, kw_only=True, frozen=True, gc=False):
    """Posts of one author in a minute."""

    author_id: A[str, "the network's id of the author"]
    channel: A[str, "the network"]
    posts: A[int, "posts"]
    complaints: A[int, "of these, complaints"]
    contacts: A[int, "of these, complaints and questions"]


class TextCount(Record, kw_only=True, frozen=True, gc=False):
    """Near-equal posts in a minute."""

    text: A[
        str,
        "which text: 16 hex digits. Where the first 8 or the last 8 are those of another, they are probably near-equal",
    ]
    channel: A[str, "the network of the first of them"]
    posts: A[int, "posts"]
    complaints: A[int, "of these, complaints"]
    contacts: A[int, "of these, complaints and questions"]


class LateCount(Record, kw_only=True, frozen=True, gc=False):
    """Posts that were made in earlier five minutes than those in which they were read."""

    minute: A[Time, "start of the five minutes in which the posts were made"]
    counts: A[list[VolumeCount], "by channel (12, the others as `other`) and label, as share or post; posts"]
    author_sample: A[list[int], "as of the Volume"]
    busiest: A[list[AuthorCount], "as of the Volume; the 4 largest"]
    copied: A[list[TextCount], "as of the Volume; the 4 largest"]


class Volume(Record, kw_only=True, frozen=True, gc=False):
    """A brand's posts in one minute of one partition of mentions; a later offset replaces an earlier one."""

    id: A[str, "UUIDv5(volume: brand|minute|partition|offset); set by classify"]
    brand: A[str, "of the posts"]
    minute: A[Time, "start of the partition's minute in which the posts were read"]
    partition: A[int, "of mentions"]
    offset: A[int, "of mentions: counted up to and including"]
    counts: A[
        list[VolumeCount], "by channel, kind and label; posts that were made at most five minutes before the minute"
    ]
    authors: A[int, "distinct authors in this partition and minute"]
    reach: A[int, "people; the sum over the posts whose reach is known"]
    conversations: A[list[ConversationCount], "the 200 largest that others joined"]
    author_sample: A[list[int], "of the authors counted: the 64 lowest 32-bit hashes, ascending; all where fewer"] = []
    busiest: A[list[AuthorCount], "of the authors counted: the 16 with the most posts"] = []
    copied: A[list[TextCount], "of the texts of six words or more: the 16 with the most near-equal posts"] = []
    late: A[list[LateCount], "posts that were made earlier than those of `counts`, at most three hours"] = []
    older: A[int, "posts that were made even earlier: they are counted here alone"] = 0


class CrisisDeclared(Record, kw_only=True, frozen=True, gc=False):
    """A person opens or closes a crisis."""

    id: A[str, "UUIDv5(crisis: brand|at|change); set by the tool"]
    brand: A[str, "the brand whose crisis it is"]
    change: A[OpenClose, "open or close"]
    by: A[str, "the person who opens or closes it"]
    reason: A[str, "in that person's words"]
    at: A[Time, "when it was said"]


class ContactCount(Record, kw_only=True, frozen=True, gc=False):
    """Contacts counted outside, calls for instance: those of a minute, or of several together."""

    id: A[str, "UUIDv5(contacts: brand|source|minute); set by the tool"]
    brand: A[str, "the brand that was contacted"]
    source: A[str, "which counter: calls, chats"]
    minute: A[Time, "start of the first minute counted"]
    count: A[int, "contacts"]
    minutes: A[int, "how many minutes are counted together: 1, 5, 15, 30 or 60"] = 1


# --- cases ---------------------------------------------------------------------------------------------------


class PostRef(Record, kw_only=True, frozen=True, gc=False):
    """Points to a post without its text."""

    mention_id: A[str, "the Mention's id"]
    native_id: A[str, "the network's id"]
    created_at: A[Time, "when the customer posted"]
    label: A[Label, "as classified or relabelled"]
    kind: A[Kind, "what sort of post"]
    uncertain: A[bool, "the classifier was unsure"] = False
    url: A[str | None, "where people can see it"] = None


class CaseOpened(CaseEvent, kw_only=True, frozen=True, gc=False):
    """A customer needs an answer."""

    brand: A[str, "of the case; set by cases, as all below"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    desk: A[str, "which desk works on it, by policy"]
    label: A[Label, "the gravest of its unanswered messages"]
    priority: A[int, "1 is the most urgent; by policy"]
    mode: A[Mode, "of the brand, by policy"]
    post: A[PostRef, "the post that opened it"]
    lang: A[str, "language to answer in"] = "und"
    visibility: A[Visibility, "of the opening post"] = "public"
    conversation: A[str | None, "native_id of the conversation's root"] = None
    reach: A[int | None, "people, the largest known of its posts"] = None
    followers: A[int | None, "people, the customer's"] = None
    zone: A[str, "the brand's time zone, of the tz database; by policy"] = "UTC"


class CaseChanged(CaseEvent, kw_only=True, frozen=True, gc=False):
    """A case got a post, another label or priority, an answer, or waits."""

    brand: A[str, "of the case; set by cases, as all below"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    desk: A[str, "which desk works on it"]
    change: A[CaseChange, "what changed"]
    label: A[Label, "of the case after the change"]
    priority: A[int, "of the case after the change; 1 is the most urgent"]
    waiting: A[bool, "after the change: answered, waiting for the customer"]
    post: A[PostRef | None, "the post added or relabelled"] = None
    reply_id: A[str | None, "id of the Reply that answered"] = None
    replied_at: A[Time | None, "that Reply's own time"] = None
    operator: A[str | None, "who answered or acted, if known"] = None
    privately: A[bool, "the answer was private"] = False
    muted_until: A[Time | None, "the end of the mute, for muted"] = None
    reach: A[int | None, "people, the largest known of its posts; null: unchanged"] = None
    promoted: A[bool | None, "one of its posts is paid for by the customer; null: unchanged"] = None


class ClockChanged(CaseEvent, kw_only=True, frozen=True, gc=False):
    """A change of an SLA clock; a clock is one per case, metric and cycle."""

    brand: A[str, "of the case; set by cases, as all below"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    desk: A[str, "which desk works on the case"]
    metric: A[Metric, "what is timed"]
    cycle: A[int, "1, 2, 3 within case and metric"]
    change: A[ClockChange, "what happened"]
    label: A[Label, "of the message that sets the due"]
    started_at: A[Time, "the message's own time"]
    due_at: A[Time | None, "a reply exactly then is in time; null: no target, only measured"]
    target_ms: A[int | None, "ms between start and due that the calendar counts; null: no target, only measured"]
    non_sla: A[bool, "a non-SLA target: measured, but no alert and not in the SLA attainment"] = False
    warned: A[int | None, "percent of the target used, for warned"] = None
    met_at: A[Time | None, "the stopping reply's own time"] = None
    breached_at: A[Time | None, "equals due_at once breached"] = None
    detected_at: A[Time | None, "event time at which the breach was seen"] = None
    paused_at: A[Time | None, "when the pause began; null: the clock runs or has ended"] = None
    late_arrival: A[bool, "the post arrived already overdue"] = False
    privately: A[bool, "met by a private reply"] = False
    paused_ms: A[int, "ms of the pauses that have ended, all together: left out of what is measured"] = 0


class CaseClosed(CaseEvent, kw_only=True, frozen=True, gc=False):
    """A case is closed."""

    brand: A[str, "of the case; set by cases, as all below"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    desk: A[str, "which desk worked on it"]
    close_reason: A[CloseReason, "what closed it"]
    label: A[Label, "of the case when it closed"]
    operator: A[str | None, "who resolved it"] = None


class CaseReopened(CaseEvent, kw_only=True, frozen=True, gc=False):
    """The case is open again: the customer came back soon after the closing, or an operator reopened it."""

    brand: A[str, "of the case; set by cases, as all below"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    desk: A[str, "which desk works on it"]
    label: A[Label, "of the case now"]
    priority: A[int, "1 is the most urgent"]
    post: A[PostRef | None, "the post that reopened it; null: an operator did"] = None
    operator: A[str | None, "who reopened it"] = None


# --- desk ------------------------------------------------------------------------------------------------------


class WorkChanged(WorkEvent, kw_only=True, frozen=True, gc=False):
    """Work on a case is queued at a desk, changes, is answered or is withdrawn. Its history is one round of work."""

    desk: A[str, "whose queue; set by cases, as all below"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    change: A[WorkChange, "queued, changed, answered or withdrawn"]
    label: A[Label, "of the case"]
    priority: A[int, "1 is the most urgent"]
    mode: A[Mode, "of the brand"]
    started_at: A[Time, "start of the governing response clock"]
    due_at: A[Time | None, "when the answer is due; null: no target"]
    lang: A[str, "language to answer in"] = "und"
    visibility: A[Visibility, "of the newest post"] = "public"
    non_sla: A[bool, "its clock has a non-SLA target"] = False
    uncertain: A[bool, "the classifier was unsure"] = False
    share: A[bool, "only shares so far: never a holding reply"] = False
    window_closes_at: A[Time | None, "when the channel's reply window closes"] = None
    conversation: A[str | None, "native_id of the conversation's root"] = None
    posts: A[list[str], "native ids of the unanswered posts"] = []
    reach: A[int | None, "people"] = None
    followers: A[int | None, "people"] = None
    skills: A[list[str], "wanted, by policy"] = []
    operator: A[str | None, "who answered, for answered; to whom, for an escalation by hand"] = None
    url: A[str | None, "the newest post"] = None
    escalated: A[bool, "an operator asks that the person responsible takes it"] = False
    escalated_by: A[str | None, "the operator who asks for it, if known"] = None
    waiting: A[bool, "an operator waits for the customer, so the case takes no capacity"] = False
    together: A[bool, "all desks are in one partition of the topic desk; release 0.1.0 wrote to one for each desk"] = (
        False
    )


class OperatorChanged(Record, kw_only=True, frozen=True, gc=False):
    """An operator signs in at a desk, now or at a later time, renews the lease, pauses, resumes, or signs out."""

    id: A[str, "UUIDv5(operator: desk|operator|at|change); set by the tool"]
    desk: A[str, "the desk"]
    operator: A[str, "the operator"]
    change: A[Presence, "signed_in, renewed, paused, resumed or signed_out"]
    at: A[Time, "when it takes effect; for a shift that is planned ahead, when it begins"]
    until: A[
        Time | None, "end of the lease, or of the pause; null: the policy's lease from then on, or until resumed"
    ] = None
    capacity: A[int, "units of work at a time, at all desks together; only signed_in sets it"] = 3
    languages: A[list[str], "es, pt, en; empty: any; only signed_in sets it"] = []
    skills: A[list[str], "as policy names them; only signed_in sets it"] = []


class OfferAnswered(Record, kw_only=True, frozen=True, gc=False):
    """An operator accepts an offer or declines it."""

    id: A[str, "UUIDv5(answer: offer_id|answer), or desk|operator|brand|channel|author_id|at|answer; set by the tool"]
    desk: A[str, "the desk"]
    operator: A[str, "the operator"]
    offer_id: A[str, "the Offered event's id; empty: the operator's open offer of the customer's case"]
    answer: A[OfferAnswer, "accepted or declined"]
    at: A[Time, "when it was said"]
    brand: A[str | None, "of the customer, where offer_id is empty"] = None
    channel: A[str | None, "of the customer, where offer_id is empty"] = None
    author_id: A[str | None, "the customer, where offer_id is empty"] = None


class Candidate(Record, kw_only=True, frozen=True, gc=False):
    """An operator who could have been offered the case; in lists the best comes first."""

    operator: A[str, "the operator"]
    load: A[int, "units of work held and offered, at all desks"]
    capacity: A[int, "units of work at a time"]


class Offered(WorkEvent, kw_only=True, frozen=True, gc=False):
    """A case is offered to one operator; the event's id is the offer's."""

    desk: A[str, "the desk; set by desk, as all below"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    operator: A[str, "the operator to whom the case is offered"]
    expires_at: A[Time, "when the offer ends and the case returns to the queue"]
    due_at: A[Time | None, "when the answer is due; null: no target"]
    label: A[Label, "of the case"]
    priority: A[int, "1 is the most urgent"]
    mode: A[Mode, "of the brand"]
    candidates: A[list[Candidate], "at most 10, best first"] = []
    lang: A[str, "language to answer in"] = "und"
    url: A[str | None, "the newest post"] = None
    weight: A[int, "units of the operator's capacity that the case takes"] = 1


class Assigned(WorkEvent, kw_only=True, frozen=True, gc=False):
    """The operator accepted the offer and has the case."""

    desk: A[str, "the desk; set by desk, as all below"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    operator: A[str, "the operator who has the case"]
    offer_id: A[str, "the Offered event's id"]
    waited_ms: A[int, "ms; from queueing to acceptance"]


class Returned(WorkEvent, kw_only=True, frozen=True, gc=False):
    """The work is back in the queue, in the place of its first queueing."""

    desk: A[str, "the desk; set by desk, as all below"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    operator: A[str, "the operator who had the case"]
    offer_id: A[str, "the Offered event's id"]
    return_reason: A[ReturnReason, "what sent it back"]
    times: A[int, "how often it has been returned"]


class Overflowed(WorkEvent, kw_only=True, frozen=True, gc=False):
    """A full desk hands a case to the next desk. The work goes on in the same history there."""

    desk: A[str, "the full desk; set by desk, as all below"]
    next_desk: A[str, "where it goes"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    work: A[WorkChanged, "the work as the first desk knows it"]


class HoldingReplyDue(WorkEvent, kw_only=True, frozen=True, gc=False):
    """Asks a sender outside to tell the customer to wait, unless it is a dry run."""

    desk: A[str, "the desk; set by desk, as all below"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    channel: A[str, "of the case"]
    author_id: A[str, "the customer"]
    native_id: A[str, "the post to answer"]
    visibility: A[Visibility, "of the answer"]
    lang: A[str, "of the template"]
    template: A[str, "the policy's name of the text"]
    expires_at: A[Time, "the reply must not be sent later"]
    dry_run: A[bool, "do not send: the brand is in shadow mode, or a limit is reached"] = True
    suppressed: A[Suppression | None, "the limit that is reached; null: none is"] = None


class HoldingReplyCancelled(WorkEvent, kw_only=True, frozen=True, gc=False):
    """A holding reply is not to be sent any more: a person has the case, or it needs no answer."""

    desk: A[str, "the desk; set by desk, as all below"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    holding_id: A[str, "the HoldingReplyDue event's id"]


class Escalated(WorkEvent, kw_only=True, frozen=True, gc=False):
    """A case climbs its desk's ladder: nobody has answered it for too long, or an operator asked for it."""

    desk: A[str, "the desk; set by desk, as all below"]
    case_id: A[str, "the case"]
    brand: A[str, "of the case"]
    mode: A[Mode, "of the brand"]
    rung: A[Rung, "the rung of the ladder"]
    to: A[str, "the person who is asked; empty: the policy names nobody for the rung"]
    used: A[int, "percent of the target used; 0 where it has none"]


# --- surges ------------------------------------------------------------------------------------------------------


class OffsetRange(Record, kw_only=True, frozen=True, gc=False):
    """A stretch of a topic's partition."""

    partition: A[int, "of mentions"]
    first: A[int, "offset"]
    last: A[int, "offset, inclusive"]


class Forecast(Record, kw_only=True, frozen=True, gc=False):
    """Extra contacts expected."""

    ahead_ms: A[int, "ms; how far ahead"]
    expected: A[float, "contacts"]
    low: A[float, "contacts, 10th percentile"]
    high: A[float, "contacts, 90th percentile"]


class SeriesEvidence(Record, kw_only=True, frozen=True, gc=False):
    """Another series that shows the same surge."""

    detector: A[Detector, "which detector"]
    scope: A[Scope, "what is counted"]
    name: A[str, "the series: a channel, a root post, or empty"]
    actual: A[float, "posts in the window"]
    baseline: A[float, "posts expected in the window"]


class Evidence(Record, kw_only=True, frozen=True, gc=False):
    """The figures that a surge is judged by."""

    detector: A[Detector, "which detector; set by surge, as all below"]
    scope: A[Scope, "the narrowest that explains the excess"]
    name: A[str, "the series: a channel, a root post, or empty for the brand"]
    window_start: A[Time, "start of the window"]
    window_end: A[Time, "end of the window, exclusive"]
    actual: A[float, "posts in the window"]
    baseline: A[float, "posts expected in the window"]
    ratio: A[float, "actual over baseline"]
    threshold: A[float, "the ratio that opens"]
    significance: A[float | None, "how improbable, -log10 p"] = None
    return_period: A[float | None, "days; for a burst: so many posts come once in this time"] = None
    sparkline: A[list[int], "posts per window, oldest first, at most 24 h"] = []
    labels: A[dict[str, int], "posts by label, in the window"] = {}
    labels_before: A[dict[str, int], "posts by label, in the baseline"] = {}
    channels: A[dict[str, int], "posts by channel, in the window"] = {}
    authors: A[int | None, "distinct authors in the window: exact below 64, else estimated within about 12 %"] = None
    reach: A[int | None, "people, in the window"] = None
    root: A[str | None, "native_id of the root post that most of it is about"] = None
    root_share: A[float | None, "0..1 of the window's posts are about the root"] = None
    top_posts: A[list[str], "native ids"] = []
    expected_event: A[str | None, "the policy's expected event that holds now"] = None
    partial: A[bool, "a writer was idle in the window, or a channel silent"] = False
    offsets: A[list[OffsetRange], "what to replay"] = []
    forecast: A[Forecast | None, "extra contacts of the next hours"] = None
    others: A[list[SeriesEvidence], "other series that show the same surge"] = []
    crowd: A[
        Crowd, "many: people; few: without the posts of a few authors it would be none; copies: likewise of few texts"
    ] = "many"
    busiest: A[
        list[int], "posts in the window of each of the five authors who wrote the most, where they wrote several"
    ] = []
    shares: A[int, "posts in the window that pass on another post without a word; they count as `other`"] = 0
    trend: A[Trend, "rising: much more than when last told; falling: less than half of it"] = "steady"
    copied: A[int, "posts in the window that are near-equal to an earlier one, as far as the largest texts tell"] = 0


class SurgeOpened(SurgeEvent, kw_only=True, frozen=True, gc=False):
    """A surge begins: many more posts or contacts than usual."""

    brand: A[str, "the brand; set by surge, as all below"]
    mode: A[Mode, "of the brand"]
    started_at: A[Time, "start of the window that showed it"]
    evidence: A[Evidence, "what it is judged by"]


class SurgeUpdated(SurgeEvent, kw_only=True, frozen=True, gc=False):
    """A surge grew, narrowed, or shows something new."""

    brand: A[str, "the brand; set by surge, as all below"]
    mode: A[Mode, "of the brand"]
    started_at: A[Time, "start of the window that showed it, as when it opened"]
    evidence: A[Evidence, "what it is judged by now"]


class SurgeClosed(SurgeEvent, kw_only=True, frozen=True, gc=False):
    """A surge is over, or has become the usual."""

    brand: A[str, "the brand; set by surge, as all below"]
    mode: A[Mode, "of the brand"]
    started_at: A[Time, "start of the window that showed it, as when it opened"]
    ended_at: A[Time, "end of the window that closed it"]
    close_reason: A[SurgeEnd, "what closed it"]
    peak: A[float, "the largest ratio"]
    excess: A[float, "posts above the baseline while it was open"]


class CrisisOpened(CrisisEvent, kw_only=True, frozen=True, gc=False):
    """A crisis of a brand begins, by rule or by a person's declaration."""

    brand: A[str, "the brand; set by surge, as all below"]
    mode: A[Mode, "of the brand"]
    by: A[str, "`rule` or the person who declared it"]
    surge_id: A[str | None, "the surge that led to the crisis; null: none did"] = None
    root: A[str | None, "native_id of the root post"] = None
    dry_run: A[bool, "the brand is in shadow mode"] = True
    desk: A[str, "the brand's desk, by policy: the key in the desk topic"] = "care"


class CrisisClosed(CrisisEvent, kw_only=True, frozen=True, gc=False):
    """A crisis of a brand ends."""

    brand: A[str, "the brand; set by surge, as all below"]
    mode: A[Mode, "of the brand"]
    by: A[str, "`rule` or the person who closed it"]
    dry_run: A[bool, "the brand is in shadow mode"] = True
    desk: A[str, "the brand's desk, by policy: the key in the desk topic"] = "care"


class ChannelChanged(Decided, kw_only=True, frozen=True, gc=False):
    """A channel fell silent where silence is improbable, or is heard again."""

    aggregate: A[str, "the brand's channel; set by surge, as all below"] = msgspec.field(name="channel_id")
    brand: A[str, "the brand; set by surge, as all below"]
    mode: A[Mode, "of the brand"]
    channel: A[str, "the network"]
    change: A[Hearing, "silent or heard"]
    expected: A[float, "posts expected while it was silent"]
    since: A[Time, "when the channel was last heard"]


# --- alerts --------------------------------------------------------------------------------------------------


class Alert(Decided, kw_only=True, frozen=True, gc=False):
    """Something that a person must know. Every alert that fires is resolved later."""

    aggregate: A[str, "kind:brand:incident; no counts, severities or times; set by alerts"] = msgspec.field(
        name="fingerprint"
    )
    seq: A[int, "1, 2, 3 within the fingerprint; a receiver ignores an older one; set by alerts, as all below"] = (
        msgspec.field(name="version")
    )
    state: A[AlertState, "firing or resolved"]
    kind: A[AlertKind, "what it is about"]
    severity: A[Severity, "may rise while the alert fires"]
    brand: A[str, "the brand"]
    mode: A[Mode, "of the brand: an alert in shadow mode is sent to no receiver"]
    summary: A[str, "one line for a person; never a text or an author"]
    starts_at: A[Time, "event time at which it opened"]
    ends_at: A[Time | None, "event time at which it resolved"] = None
    evidence: A[
        dict[str, str],
        "figures by name, as text: digits, or a time in RFC 3339; the posts of each label and channel have a name of their own",
    ] = {}
    links: A[dict[str, str], "runbook, replay, console"] = {}
    receivers: A[
        list[str] | None,
        "the receivers that the policy's routes name; once told, a receiver stays; null: all, as release 0.1.0 had it",
    ] = None
    texts: A[list[str], "of the receivers, those to which the words of the root post may be shown"] = []
    withheld: A[
        str | None, "why no further receiver is told now: a silence, or nobody on shift; null: all are told"
    ] = None

    @property
    def fingerprint(self) -> str:
        """The id of the incident, the same in every version."""
        return self.aggregate

    @property
    def version(self) -> int:
        """The number of this version within the fingerprint."""
        return self.seq


class AlertDelivery(Record, kw_only=True, frozen=True, gc=False):
    """What became of a version of an alert at one receiver."""

    id: A[str, "UUIDv5(delivery: receiver|alert_id|outcome|attempts); set by the receiver's role, as all below"]
    receiver: A[str, "the receiver's name, as the policy's routes have it"]
    fingerprint: A[str, "the alert's"]
    version: A[int, "of the alert"]
    alert_id: A[str, "the Alert's id"]
    brand: A[str, "of the alert"]
    state: A[AlertState, "of the version"]
    severity: A[Severity, "of the version"]
    starts_at: A[Time, "of the alert: event time"]
    outcome: A[
        DeliveryOutcome, "waiting: tried again; passed_over: a newer version went in its place, or none was needed"
    ]
    answer: A[str, "what the receiver answered, or why there was none; never a text, an author or a secret"]
    attempts: A[int, "how often it was sent"]
    at: A[Time, "wall clock"]
    reference: A[str | None, "the receiver's own name of the message, for its next version"] = None


#: All records that stand as a topic's value, in the order of their schema ids. Append only.
RECORDS: tuple[type[Record], ...] = (
    Mention,
    MentionUpdated,
    Reply,
    Action,
    Tick,
    PolicyChanged,
    SourceIdle,
    ClassifiedMention,
    Volume,
    CrisisDeclared,
    ContactCount,
    CaseOpened,
    CaseChanged,
    ClockChanged,
    CaseClosed,
    CaseReopened,
    WorkChanged,
    OperatorChanged,
    OfferAnswered,
    Offered,
    Assigned,
    Returned,
    Overflowed,
    HoldingReplyDue,
    HoldingReplyCancelled,
    Escalated,
    SurgeOpened,
    SurgeUpdated,
    SurgeClosed,
    CrisisOpened,
    CrisisClosed,
    ChannelChanged,
    Alert,
    AlertDelivery,
)
BY_NAME: dict[str, type[Record]] = {cls.__name__: cls for cls in RECORDS}
