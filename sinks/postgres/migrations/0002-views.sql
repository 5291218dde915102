-- The KPIs. Spam and what else was marked as needing no reply is left out; so are clocks that were voided.
-- depends: 0001-tables

create or replace view response_clocks as
select k.*
from clocks k
left join cases c on c.case_id = k.case_id
where k.metric = 'first_response' and k.state <> 'VOID' and c.why is distinct from 'no_reply';
comment on view response_clocks is 'the first response clocks that the KPIs count';

create or replace view answer_rate as
select
    brand,
    channel,
    count(*) as asked,
    count(met_at) as answered,
    count(met_at) filter (where privately) as answered_privately,
    count(met_at)::double precision / count(*) as answer_rate
from response_clocks
where not courtesy
group by brand, channel;

create or replace view first_response as
select
    brand,
    channel,
    count(met_at) as answered,
    count(met_at) filter (where privately) as answered_privately,
    percentile_cont(0.5) within group (order by met_at - started_at) as median,
    percentile_cont(0.9) within group (order by met_at - started_at) as p90,
    count(*) filter (where state = 'MET')::double precision
        / nullif(count(*) filter (where met_at is not null or breached_at is not null), 0) as share_in_target
from response_clocks
where not courtesy
group by brand, channel;
comment on column first_response.share_in_target is 'of the clocks that were met or are overdue';

create or replace view reputation_balance as
select
    brand,
    count(*) filter (where label = 'praise') as praise,
    count(*) filter (where label = 'complaint') as complaints,
    count(*) filter (where label = 'praise') - 12 * count(*) filter (where label = 'complaint') as balance
from mentions
where not own
group by brand;

create or replace view surge_history as
select
    s.brand,
    s.surge_id,
    s.state,
    s.detector,
    s.scope,
    s.name,
    s.started_at,
    s.ended_at,
    s.ended_at - s.started_at as lasted,
    s.peak,
    s.excess,
    s.close_reason,
    exists (
        select from surge_events e where e.type = 'CrisisOpened' and e.detail ->> 'surge' = s.surge_id
    ) as crisis
from surges s;
