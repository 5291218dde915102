-- Alerts with where they went and what was answered.
-- depends: 0005-deliveries
create or replace view alert_history as
with incidents as (
    select distinct on (fingerprint, starts_at)
        brand, fingerprint, kind, severity, state, mode, starts_at, ends_at, summary, receivers, withheld
    from alert_events
    order by fingerprint, starts_at, version desc
),
named as (
    select i.fingerprint, i.starts_at, n.receiver
    from incidents i, jsonb_array_elements_text(i.receivers) as n(receiver)
    where i.mode = 'live'
    union
    select fingerprint, starts_at, receiver from alert_deliveries
)
select
    i.brand,
    i.fingerprint,
    i.kind,
    i.severity,
    i.state,
    i.mode,
    i.starts_at,
    i.ends_at,
    (extract(epoch from i.ends_at - i.starts_at) * 1000)::bigint as lasted_ms,
    i.summary,
    i.withheld,
    n.receiver,
    t.told_at,
    t.told_over_at,
    t.attempts,
    l.version as last_version,
    l.outcome as last_outcome,
    l.answer as last_answer,
    l.at as last_at
from incidents i
left join named n on n.fingerprint = i.fingerprint and n.starts_at = i.starts_at
left join lateral (
    select
        min(d.at) filter (where d.outcome = 'accepted' and d.state = 'firing') as told_at,
        min(d.at) filter (where d.outcome = 'accepted' and d.state = 'resolved') as told_over_at,
        coalesce(sum(d.attempts), 0)::bigint as attempts
    from alert_deliveries d
    where d.fingerprint = i.fingerprint and d.starts_at = i.starts_at and d.receiver = n.receiver
) t on true
left join lateral (
    select d.version, d.outcome, d.answer, d.at
    from alert_deliveries d
    where d.fingerprint = i.fingerprint and d.starts_at = i.starts_at and d.receiver = n.receiver
    order by d.version desc
    limit 1
) l on true;
comment on view alert_history is
    'Every alert, from its start to its end, with each receiver that it was for: when it was told, and what became of the newest version there.';
comment on column alert_history.brand is 'the brand that the alert is about';
comment on column alert_history.fingerprint is 'the alert: alert_events.fingerprint';
comment on column alert_history.kind is 'of the newest version';
comment on column alert_history.severity is 'of the newest version; it never falls while the alert fires';
comment on column alert_history.state is 'firing or resolved';
comment on column alert_history.mode is 'live or shadow; what is in shadow mode is told to nobody';
comment on column alert_history.starts_at is 'when the alert began: event time';
comment on column alert_history.ends_at is 'when the alert was over: event time; null: it fires';
comment on column alert_history.lasted_ms is 'milliseconds from starts_at to ends_at; null: it fires';
comment on column alert_history.summary is 'of the newest version';
comment on column alert_history.withheld is 'why no further receiver is told: a silence, or nobody on shift; null: all are told';
comment on column alert_history.receiver is 'the receiver that this row is about; null: the alert is for nobody';
comment on column alert_history.told_at is 'when the receiver first accepted that the alert fires, by the wall clock; null: it has not';
comment on column alert_history.told_over_at is 'when the receiver accepted that the alert is over, by the wall clock; null: it has not';
comment on column alert_history.attempts is 'how often versions were sent to the receiver; 0: never';
comment on column alert_history.last_version is 'the newest version that the receiver has dealt with; null: none';
comment on column alert_history.last_outcome is 'what became of that version: accepted, waiting, refused or passed_over; null: the receiver''s worker has not read the alert';
comment on column alert_history.last_answer is 'what the receiver answered to that version, or why there was no answer';
comment on column alert_history.last_at is 'when that was, by the wall clock';
