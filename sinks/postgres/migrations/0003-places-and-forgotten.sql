-- Which record of the log a row is; who was forgotten; what cases and clocks tell now.
-- depends: 0002-views

alter table mentions add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table mention_updates add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table replies add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table actions add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table contacts add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table crisis_declarations add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table case_events
    add column if not exists source_offset bigint,
    add column if not exists "partition" integer,
    add column if not exists "offset" bigint;
alter table assignments add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table surge_events add column if not exists "partition" integer, add column if not exists "offset" bigint;
alter table alert_events add column if not exists "partition" integer, add column if not exists "offset" bigint;

comment on column mentions."offset" is 'with partition: its record in classified; null: written before places were kept';
comment on column mention_updates."offset" is 'with partition: its record in classified; null: as in mentions';
comment on column replies."offset" is 'with partition: its record in classified; null: as in mentions';
comment on column actions."offset" is 'with partition: its record in classified; null: as in mentions';
comment on column contacts."offset" is 'with partition: its record in volumes; null: as in mentions';
comment on column crisis_declarations."offset" is 'with partition: its record in volumes; null: as in mentions';
comment on column case_events."offset" is 'with partition: its record in cases; null: as in mentions';
comment on column assignments."offset" is 'with partition: its record in assignments; null: as in mentions';
comment on column surge_events."offset" is 'with partition: its record in surges; null: as in mentions';
comment on column alert_events."offset" is 'with partition: its record in alerts; null: as in mentions';
comment on column volumes."offset" is 'with partition: of mentions, counted up to and including';
comment on column case_events.source_offset is 'offset in classified of the record that led to it; null: not told';
comment on column case_events.change is 'of a CaseClosed: why';
comment on column case_events.author_id is 'empty: the customer was forgotten, and detail with him';

create table if not exists forgotten (
    customer text primary key,
    "partition" integer not null,
    "offset" bigint not null,
    at timestamptz not null
);
comment on table forgotten is 'customers of whom nothing from before is kept, also when the log is read again';
comment on column forgotten.customer is 'SHA-256 of brand|channel|author_id, hex';
comment on column forgotten."offset" is 'with partition: where the forget stands in classified; what comes after is kept';
comment on column forgotten.at is 'when it was asked for';

create index if not exists mention_updates_author on mention_updates (brand, channel, author_id);

alter table cases add column if not exists zone text, add column if not exists promoted boolean;
comment on column cases.author_id is 'empty: the customer was forgotten';
comment on column cases.zone is 'time zone of the brand, of the tz database; null: opened before it was told';
comment on column cases.promoted is 'one of its posts is paid for by the customer; null: none is known to be';
comment on column cases.answered_at is 'the first human reply, by its own time';
comment on column cases.answered_privately is 'of the first human reply';

alter table clocks
    alter column due_at drop not null,
    alter column target_ms drop not null,
    add column if not exists paused_ms bigint not null default 0;
comment on column clocks.due_at is 'null: no target, only measured';
comment on column clocks.target_ms is 'between start and due, as the calendar counts; null: no target, only measured';
comment on column clocks.paused_at is 'since when it is paused; null: it is not';
comment on column clocks.paused_ms is 'the pauses that have ended, all together: left out of what is measured';
comment on column clocks.breached_at is 'null also where the breach was rescinded: case_events keeps the history';

-- A desk's events lead to no customer, and counts of a conversation name no author: their case and mention do.
update assignments
set detail = (detail - array['author_id', 'native_id', 'url'])
    #- '{work,author_id}' #- '{work,native_id}' #- '{work,url}' #- '{work,conversation}' #- '{work,posts}'
where detail ?| array['author_id', 'native_id', 'url'] or detail -> 'work' ? 'author_id';
update volumes
set conversations = (
    select coalesce(jsonb_agg(c.counted - 'root_author' order by c.n), '[]')
    from jsonb_array_elements(conversations) with ordinality as c (counted, n)
)
where conversations @? '$[*].root_author';
