"""The users of Kafka that an installation has, each with the least rights for its work."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netcenter.pipeline import PIPELINE, PROJECTION, PUBLIC
from schemas.records import Alert, ContactCount, Offered, Record
from streams.rights import Operation, ResourceKind, Right, Rights, role_rights, topic_rights
from streams.topology import POLICY_TOPIC, Role

_READ, _WRITE, _DESCRIBE = Operation.READ, Operation.WRITE, Operation.DESCRIBE
GATEWAYS = PIPELINE.roles[0].input_topic
"""The topic into which gateways write. Its Ticks say which clock the log follows."""

_DECIDING = [role for role in PIPELINE.roles if role.decides]
_BROKERS_CONFIGS = Right(ResourceKind.CLUSTER, "", Operation.DESCRIBE_CONFIGS)
_ALERTED = [topic.name for topic in PIPELINE.topics if Alert in topic.records]
_COUNTED = [topic.name for topic in PIPELINE.topics if ContactCount in topic.open]


@dataclass(frozen=True)
class KafkaUser:
    """A user that an administrator makes in Kafka, for one worker, for some commands, or for a program of others."""

    name: str
    """The name that the pattern of user names takes in place of `{user}`."""
    rights: Rights
    commands: tuple[str, ...] = ()
    """The commands that work as this user, each without its arguments; `topics` means all whose first word it is."""
    programs: str = ""
    """Your own programs that work as this user, in Markdown."""

    @property
    def purpose(self) -> str:
        """Who works as this user, in Markdown."""
        return self.programs or ", ".join(f"`{' '.join(('netcenter', command))}`" for command in self.commands)

    def runs(self, command: str) -> bool:
        """Whether a command works as this user."""
        return any(command == own or command.startswith(f"{own} ") for own in self.commands)


def kafka_users(*prefixes: str) -> list[KafkaUser]:
    """Every user, the roles first, with rights on the topics, groups and transactional ids of these prefixes."""
    first, *others = [_users_of(prefix) for prefix in prefixes]
    for more in others:
        first = [
            replace(user, rights=tuple(dict.fromkeys((*user.rights, *own.rights))))
            for user, own in zip(first, more, strict=True)
        ]
    return first


def _users_of(prefix: str) -> list[KafkaUser]:
    roles = [KafkaUser(role.name, role_rights(PIPELINE, role, prefix), _commands_of(role)) for role in PIPELINE.roles]
    return [
        *roles,
        KafkaUser(
            "setup",
            _setup(prefix),
            ("topics apply", "topics seed", "policy apply", "policy repair", "policy list"),
        ),
        KafkaUser("operators", _operators(prefix), ("operators", "desk", "bulk-update", "crisis", "forget")),
        KafkaUser("dead-letters", _dead_letters(prefix), ("dead",)),
        KafkaUser("ingest", _ingest(prefix), ("ingest",)),
        KafkaUser(
            "maintenance",
            _maintenance(prefix),
            ("rebuild ROLE", "changelog remove", "savepoint", "rescale", "alert test"),
        ),
        KafkaUser(
            "monitoring",
            _monitoring(prefix),
            (
                "status",
                "lag",
                "doctor",
                "upgrade check",
                "replay",
                "train",
                "alert list",
                "alert show",
                "alert explain",
            ),
        ),
        KafkaUser("heartbeat", _heartbeat(prefix), ("heartbeat",)),
        KafkaUser(
            "gateway",
            topic_rights(prefix, [GATEWAYS], _WRITE),
            programs=f"your programs that write posts to `{GATEWAYS}`",
        ),
        KafkaUser(
            "contacts", topic_rights(prefix, _COUNTED, _WRITE), programs="your programs that count contacts elsewhere"
        ),
        KafkaUser("reader", _reader(prefix), programs="your programs that read the public topics"),
    ]


def _commands_of(role: Role) -> tuple[str, ...]:
    worker = f"worker {role.name}"
    return (worker, f"rebuild {role.name}", "postgres continue") if role.name == PROJECTION else (worker,)


def _setup(prefix: str) -> Rights:
    """Makes topics and checks their configuration, writes the first Ticks, and puts policies in force."""
    manage = (Operation.CREATE, _DESCRIBE, Operation.DESCRIBE_CONFIGS, Operation.ALTER_CONFIGS)
    return (
        *topic_rights(prefix, _every_topic(), *manage),
        *topic_rights(prefix, [*PIPELINE.unmirrored_input_topics(), POLICY_TOPIC], _READ, _WRITE),
        # What a role has read and which policy it has in force stands in its changelog.
        *topic_rights(prefix, _changelogs(), _READ),
        _transactional_id(prefix, "policy"),
        _BROKERS_CONFIGS,
    )


def _operators(prefix: str) -> Rights:
    """Writes what people decide, reads what they are offered, and asks for the time of the log. Without keys, a command
    reads whether the records of a topic are signed.
    """
    return (
        *topic_rights(prefix, [t.name for t in PIPELINE.topics if t.operators], _READ, _WRITE),
        *topic_rights(prefix, [t.name for t in PIPELINE.topics if Offered in t.records], _READ),
        # Which desks there are says the policy; who is signed in and what waits says the state of the desk.
        *topic_rights(prefix, [POLICY_TOPIC, *(role.changelog for role in _DECIDING if _writes(role, Offered))], _READ),
        Right(ResourceKind.GROUP, prefix + PIPELINE.roles[0].name, _DESCRIBE),
    )


def _dead_letters(prefix: str) -> Rights:
    """Reads and marks dead letters, and sends their records again to the topics into which others write."""
    return (
        *topic_rights(prefix, [t.name for t in PIPELINE.dead_topics()], _READ, _WRITE),
        *topic_rights(prefix, PIPELINE.unmirrored_input_topics(), _WRITE),
        _transactional_id(prefix, "dead-letters"),
    )


def _ingest(prefix: str) -> Rights:
    """Plays files, at the pace of the roles. How old a post may be stands in the policy."""
    inputs = [t.name for t in PIPELINE.topics if t.inputs]
    return (
        *topic_rights(prefix, inputs, _READ, _WRITE),
        *topic_rights(prefix, [POLICY_TOPIC], _READ),
        *topic_rights(prefix, [name for name in _every_read_topic() if name not in inputs], _DESCRIBE),
        *_groups(prefix),
    )


def _maintenance(prefix: str) -> Rights:
    """Makes the state of a role again, in the place of its workers; or carries the state of all roles to another log, whose
    topics it makes. Then it needs these rights on both logs. And it writes test alerts.
    """
    signed = [topic.dead.name for topic in PIPELINE.topics if topic.signed]
    return (
        *topic_rights(prefix, _every_topic(), Operation.CREATE, _DESCRIBE),
        *topic_rights(prefix, [*(topic.name for topic in PIPELINE.topics), *signed, *_changelogs()], _READ),
        *topic_rights(prefix, [*PIPELINE.input_topics(), POLICY_TOPIC, *_changelogs(), *_ALERTED], _WRITE),
        *_groups(prefix),
        *(Right(ResourceKind.TRANSACTIONAL_ID, f"{prefix}{role.name}-", _WRITE, prefixed=True) for role in _DECIDING),
        _transactional_id(prefix, "rescale"),
    )


def _monitoring(prefix: str) -> Rights:
    """Reads everything, writes nothing."""
    ids = [f"{role.name}-" for role in _DECIDING]
    return (
        *topic_rights(prefix, _every_topic(), _READ, Operation.DESCRIBE_CONFIGS),
        *_groups(prefix),
        *(Right(ResourceKind.TRANSACTIONAL_ID, prefix + name, _DESCRIBE, prefixed=True) for name in ids),
        Right(ResourceKind.CLUSTER, "", _DESCRIBE),
        _BROKERS_CONFIGS,
    )


def _heartbeat(prefix: str) -> Rights:
    """Sees how far every role is. It reads records only to count those that wait for a role that has stood still."""
    return (*topic_rights(prefix, _every_read_topic(), _READ), *_groups(prefix))


def _reader(prefix: str) -> Rights:
    """Reads the public topics, in groups of its own."""
    return (
        *topic_rights(prefix, PUBLIC, _READ),
        Right(ResourceKind.GROUP, f"{prefix}reader-", _READ, prefixed=True),
    )


def _writes(role: Role, record: type[Record]) -> bool:
    return any(record in PIPELINE.topic(name).records for name in role.writes)


def _changelogs() -> list[str]:
    return [role.changelog for role in _DECIDING]


def _every_topic() -> list[str]:
    return [topic.name for topic in (*PIPELINE.topics, *PIPELINE.dead_topics())] + _changelogs()


def _every_read_topic() -> list[str]:
    return list(dict.fromkeys(name for role in PIPELINE.roles for name in role.reads))


def _groups(prefix: str) -> Rights:
    return tuple(Right(ResourceKind.GROUP, prefix + role.name, _DESCRIBE) for role in PIPELINE.roles)


def _transactional_id(prefix: str, name: str) -> Right:
    return Right(ResourceKind.TRANSACTIONAL_ID, prefix + name, _WRITE)
