-- Every table of the projection, each filled from public topics only. Comments on tables and columns are made from
-- tables.py and the records: see comments.py. Why there are no foreign keys: docs/postgres.md.

create table if not exists sink_offsets (
    topic text not null,
    "partition" integer not null,
    next bigint not null,
    primary key (topic, "partition")
);

create table if not exists forgotten (
    customer text primary key,
    "partition" integer not null,
    "offset" bigint not null,
    at timestamptz not null
);

create table if not exists mentions (
    id uuid primary key,
    brand text not null,
    channel text not null,
    author_id text not null,
    native_id text not null,
    created_at timestamptz not null,
    received_at timestamptz,
    kind text not null,
    visibility text not null,
    lang text not null,
    conversation_id text,
    in_reply_to text,
    share_of text,
    author_followers bigint,
    reach bigint,
    shares bigint,
    promoted boolean not null,
    deleted boolean not null default false,
    hidden boolean not null default false,
    post_id uuid,
    url text,
    author_name text,
    label text not null,
    confidence double precision not null,
    uncertain boolean not null,
    classified_lang text not null,
    own boolean not null,
    probabilities double precision[] not null,
    model text not null,
    policy bigint not null,
    text text not null,
    "partition" integer not null,
    "offset" bigint not null
);
create index if not exists mentions_author on mentions (brand, channel, author_id);
create index if not exists mentions_created on mentions using brin (created_at);

create table if not exists mention_updates (
    id uuid primary key,
    mention_id uuid not null,
    brand text not null,
    channel text not null,
    author_id text not null,
    native_id text not null,
    observed_at timestamptz not null,
    received_at timestamptz,
    reach bigint,
    shares bigint,
    promoted boolean,
    deleted boolean,
    hidden boolean,
    text text,
    "partition" integer not null,
    "offset" bigint not null
);
create index if not exists mention_updates_mention on mention_updates (mention_id);
create index if not exists mention_updates_author on mention_updates (brand, channel, author_id);

create table if not exists replies (
    id uuid primary key,
    brand text not null,
    channel text not null,
    author_id text not null,
    native_id text not null,
    created_at timestamptz not null,
    received_at timestamptz,
    kind text not null,
    visibility text not null,
    operator text,
    app text,
    conversation_id text,
    in_reply_to text,
    url text,
    text text not null,
    "partition" integer not null,
    "offset" bigint not null
);
create index if not exists replies_author on replies (brand, channel, author_id);

create table if not exists actions (
    id uuid primary key,
    brand text not null,
    channel text not null,
    author_id text not null,
    action_id text not null,
    action text not null,
    created_at timestamptz not null,
    received_at timestamptz,
    operator text,
    native_id text,
    label text,
    no_reply text,
    desk text,
    until timestamptz,
    note text,
    "partition" integer not null,
    "offset" bigint not null
);
create index if not exists actions_author on actions (brand, channel, author_id);

create table if not exists volumes (
    brand text not null,
    minute timestamptz not null,
    "partition" integer not null,
    "offset" bigint not null,
    id uuid not null,
    posts bigint not null,
    authors bigint not null,
    reach bigint not null,
    counts jsonb not null,
    conversations jsonb not null,
    primary key (brand, minute, "partition")
);

create table if not exists contacts (
    id uuid primary key,
    brand text not null,
    source text not null,
    minute timestamptz not null,
    count bigint not null,
    "partition" integer not null,
    "offset" bigint not null
);

create table if not exists crisis_declarations (
    id uuid primary key,
    brand text not null,
    change text not null,
    by text not null,
    reason text not null,
    at timestamptz not null,
    "partition" integer not null,
    "offset" bigint not null
);

create table if not exists case_events (
    id uuid primary key,
    case_id uuid not null,
    seq bigint not null,
    type text not null,
    time timestamptz not null,
    cause uuid not null,
    policy bigint not null,
    reason text not null,
    change text,
    close_reason text,
    brand text not null,
    channel text not null,
    author_id text not null,
    desk text not null,
    detail jsonb not null,
    source_offset bigint,
    "partition" integer not null,
    "offset" bigint not null,
    unique (case_id, seq)
);

create table if not exists cases (
    case_id uuid primary key,
    brand text not null,
    channel text not null,
    author_id text not null,
    desk text,
    label text,
    priority bigint,
    mode text,
    state text not null check (state in ('open', 'waiting', 'closed')),
    lang text,
    visibility text,
    conversation text,
    zone text,
    reach bigint,
    followers bigint,
    promoted boolean,
    posts bigint not null,
    first_mention_id uuid,
    last_mention_id uuid,
    url text,
    opened_at timestamptz,
    changed_at timestamptz,
    answered_at timestamptz,
    answers bigint not null,
    answered_privately boolean not null,
    operator text,
    closed_at timestamptz,
    close_reason text,
    reopened bigint not null,
    muted_until timestamptz,
    policy bigint,
    reason text,
    seq bigint not null
);
create index if not exists cases_author on cases (brand, channel, author_id);
create index if not exists cases_conversation on cases (conversation);

create table if not exists clocks (
    case_id uuid not null,
    metric text not null,
    cycle bigint not null,
    brand text not null,
    channel text not null,
    author_id text not null,
    desk text,
    label text,
    state text not null check (state in ('running', 'paused', 'met', 'met_late', 'void')),
    started_at timestamptz not null,
    due_at timestamptz,
    target_ms bigint,
    non_sla boolean not null,
    warned bigint,
    met_at timestamptz,
    breached_at timestamptz,
    detected_at timestamptz,
    paused_at timestamptz,
    paused_ms bigint not null,
    rescinded_at timestamptz,
    late_arrival boolean not null,
    privately boolean not null,
    seq bigint not null,
    primary key (case_id, metric, cycle)
);
create index if not exists clocks_brand on clocks (brand, channel, metric);

create table if not exists assignments (
    id uuid primary key,
    work_id uuid not null,
    seq bigint not null,
    type text not null,
    time timestamptz not null,
    cause uuid not null,
    policy bigint not null,
    reason text not null,
    case_id uuid not null,
    desk text not null,
    brand text not null,
    operator text,
    offer_id uuid,
    detail jsonb not null,
    "partition" integer not null,
    "offset" bigint not null
);
create index if not exists assignments_case on assignments (case_id);

create table if not exists surge_events (
    id uuid primary key,
    surge_id uuid,
    crisis_id uuid,
    channel_id uuid,
    seq bigint not null,
    type text not null,
    time timestamptz not null,
    cause uuid not null,
    policy bigint not null,
    reason text not null,
    brand text not null,
    mode text not null,
    detail jsonb not null,
    "partition" integer not null,
    "offset" bigint not null
);
-- A crisis names the surge that led to it, so its own id comes first.
create unique index if not exists surge_events_history on surge_events (coalesce(crisis_id, channel_id, surge_id), seq);

create table if not exists surges (
    surge_id uuid primary key,
    brand text not null,
    mode text,
    state text not null check (state in ('open', 'closed')),
    detector text,
    scope text,
    name text,
    started_at timestamptz not null,
    opened_at timestamptz,
    changed_at timestamptz,
    ended_at timestamptz,
    close_reason text,
    actual double precision,
    baseline double precision,
    ratio double precision,
    peak double precision,
    excess double precision,
    evidence jsonb,
    policy bigint,
    reason text,
    seq bigint not null
);

create table if not exists alert_events (
    id uuid primary key,
    fingerprint text not null,
    version bigint not null,
    state text not null,
    kind text not null,
    severity text not null,
    brand text not null,
    mode text not null,
    summary text not null,
    starts_at timestamptz not null,
    ends_at timestamptz,
    time timestamptz not null,
    cause uuid not null,
    policy bigint not null,
    reason text not null,
    evidence jsonb not null,
    links jsonb not null,
    "partition" integer not null,
    "offset" bigint not null,
    unique (fingerprint, starts_at, version)
);

create table if not exists alerts (
    fingerprint text primary key,
    version bigint not null,
    id uuid not null,
    state text not null,
    kind text not null,
    severity text not null,
    brand text not null,
    mode text not null,
    summary text not null,
    starts_at timestamptz not null,
    ends_at timestamptz,
    time timestamptz not null,
    cause uuid not null,
    policy bigint not null,
    reason text not null,
    evidence jsonb not null,
    links jsonb not null
);

create table if not exists dead_letters (
    topic text not null,
    "partition" integer not null,
    "offset" bigint not null,
    stage text not null,
    error text,
    message text,
    at timestamptz not null,
    primary key (topic, "partition", "offset")
);
