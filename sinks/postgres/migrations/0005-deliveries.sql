-- To whom an alert is told, and what became of each version at each receiver. The worker of release 0.1.0 leaves the new columns null.
-- depends: 0004-log-prefix
alter table alert_events
    add column if not exists receivers jsonb,
    add column if not exists texts jsonb,
    add column if not exists withheld text;
alter table alerts
    add column if not exists receivers jsonb,
    add column if not exists texts jsonb,
    add column if not exists withheld text;
create table if not exists alert_deliveries (
    receiver text not null,
    fingerprint text not null,
    starts_at timestamptz not null,
    version bigint not null,
    id uuid not null,
    alert_id uuid not null,
    brand text not null,
    state text not null,
    severity text not null,
    outcome text not null,
    answer text not null,
    attempts bigint not null,
    at timestamptz not null,
    reference text,
    primary key (receiver, alert_id)
);
create index if not exists alert_deliveries_fingerprint on alert_deliveries (fingerprint);
