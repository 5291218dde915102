-- The KPIs, over all time and by the hour in which the customer wrote. Each view and column has its comment here.
-- depends: 0001-projection

-- A clock counts while it runs, and once it was met. A clock that was voided counts where its case was closed without an
-- answer: somebody asked and got none. The event that voided such a clock and the event that closed the case have the
-- same cause. The join with pg_timezone_names keeps a zone that this server does not know from being an error.
create or replace view response_clocks as
select
    k.case_id, k.cycle, k.brand, k.channel, k.desk, k.label, k.state, k.started_at, k.due_at, k.target_ms, k.non_sla,
    k.met_at, k.breached_at, k.privately,
    date_trunc('hour', k.started_at, 'UTC') as hour,
    k.state in ('met', 'met_late') as answered,
    case
        when k.state in ('met', 'met_late') then (extract(epoch from k.met_at - k.started_at) * 1000)::bigint
    end as response_ms,
    k.state in ('met', 'met_late')
        and (k.met_at at time zone coalesce(z.name, 'UTC'))::date
            = (k.started_at at time zone coalesce(z.name, 'UTC'))::date as same_day
from clocks k
left join cases c on c.case_id = k.case_id
left join pg_timezone_names z on z.name = c.zone
where k.metric = 'first_response'
    and c.close_reason is distinct from 'no_reply'
    and case
        when k.state in ('met', 'met_late') then true
        when k.state = 'void' then exists (
            select from case_events v
            join case_events e on e.case_id = v.case_id and e.cause = v.cause and e.type = 'CaseClosed'
            where v.case_id = k.case_id and v.seq = k.seq and e.close_reason in ('resolved', 'silence', 'no_target')
        )
        else c.close_reason is null or c.close_reason not in ('deleted_unanswered', 'muted', 'forgotten')
    end;
comment on view response_clocks is
    'The first response clocks that the KPIs count. Left out: spam and all else closed as no_reply, and posts that were '
    'deleted, muted, forgotten or relabelled before an answer.';
comment on column response_clocks.case_id is 'the case: cases.case_id';
comment on column response_clocks.cycle is 'the clock''s number within its case and metric';
comment on column response_clocks.brand is 'the brand of the case';
comment on column response_clocks.channel is 'the network of the case';
comment on column response_clocks.desk is 'the desk that works on the case';
comment on column response_clocks.label is 'the label of the message that sets the due time';
comment on column response_clocks.state is 'running, paused, met, met_late or void';
comment on column response_clocks.started_at is 'the time of the customer''s post';
comment on column response_clocks.due_at is 'an answer exactly then is in time; null: the clock has no target';
comment on column response_clocks.target_ms is 'milliseconds of the service calendar until due_at; null: no target';
comment on column response_clocks.non_sla is 'true: a non-SLA target, such as that of praise; its figures stand apart';
comment on column response_clocks.met_at is 'the time of the first human reply; null: none yet';
comment on column response_clocks.breached_at is 'when the clock became overdue; null: it is not, or the breach was rescinded';
comment on column response_clocks.privately is 'true: the first human reply was private';
comment on column response_clocks.hour is 'the hour, UTC, in which the customer wrote';
comment on column response_clocks.answered is 'true: a human has replied';
comment on column response_clocks.response_ms is 'milliseconds from the post to the first human reply, by their own times';
comment on column response_clocks.same_day is 'true: answered on the day of the post, in the time zone of the brand';

create or replace view response_rate as
select
    brand,
    channel,
    count(*) filter (where not non_sla) as asked,
    count(*) filter (where answered and not non_sla) as answered,
    count(*) filter (where answered and privately and not non_sla) as answered_privately,
    count(*) filter (where answered and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as response_rate,
    count(*) filter (where non_sla) as non_sla_asked,
    count(*) filter (where answered and non_sla) as non_sla_answered
from response_clocks
group by brand, channel;
comment on view response_rate is
    'How many customers who wanted an answer got one, by brand and channel. Posts with a non-SLA target (praise) stand apart.';
comment on column response_rate.brand is 'the brand';
comment on column response_rate.channel is 'the network';
comment on column response_rate.asked is 'clocks: answered, waiting, or closed without an answer';
comment on column response_rate.answered is 'of asked, how many got a human reply, public or private';
comment on column response_rate.answered_privately is 'of answered, how many by a private reply';
comment on column response_rate.response_rate is 'answered / asked, 0 to 1; null: nobody asked';
comment on column response_rate.non_sla_asked is 'the same as asked, of clocks with a non-SLA target';
comment on column response_rate.non_sla_answered is 'the same as answered, of clocks with a non-SLA target';

create or replace view response_rate_hourly as
select
    brand,
    channel,
    hour,
    count(*) filter (where not non_sla) as asked,
    count(*) filter (where answered and not non_sla) as answered,
    count(*) filter (where answered and privately and not non_sla) as answered_privately,
    count(*) filter (where answered and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as response_rate,
    count(*) filter (where non_sla) as non_sla_asked,
    count(*) filter (where answered and non_sla) as non_sla_answered
from response_clocks
group by brand, channel, hour;
comment on view response_rate_hourly is 'response_rate by the hour, UTC, in which the customer wrote.';
comment on column response_rate_hourly.brand is 'the brand';
comment on column response_rate_hourly.channel is 'the network';
comment on column response_rate_hourly.hour is 'the hour, UTC, in which the customer wrote';
comment on column response_rate_hourly.asked is 'clocks: answered, waiting, or closed without an answer';
comment on column response_rate_hourly.answered is 'of asked, how many got a human reply, public or private';
comment on column response_rate_hourly.answered_privately is 'of answered, how many by a private reply';
comment on column response_rate_hourly.response_rate is 'answered / asked, 0 to 1; null: nobody asked';
comment on column response_rate_hourly.non_sla_asked is 'the same as asked, of clocks with a non-SLA target';
comment on column response_rate_hourly.non_sla_answered is 'the same as answered, of clocks with a non-SLA target';

create or replace view first_response_time as
select
    brand,
    channel,
    count(*) filter (where answered and not non_sla) as answered,
    count(*) filter (where answered and privately and not non_sla) as answered_privately,
    round(percentile_cont(0.5) within group (order by response_ms) filter (where not non_sla))::bigint as median_ms,
    round(percentile_cont(0.9) within group (order by response_ms) filter (where not non_sla))::bigint as p90_ms,
    count(*) filter (where state = 'met' and due_at is not null and not non_sla)::double precision
        / nullif(
            count(*) filter (where (answered or breached_at is not null) and due_at is not null and not non_sla), 0
        ) as sla_attainment,
    count(*) filter (where response_ms <= 1800000 and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as within_30_min,
    count(*) filter (where response_ms <= 3600000 and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as within_60_min,
    count(*) filter (where response_ms <= 7200000 and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as within_2_h,
    count(*) filter (where same_day and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as same_day,
    round(
        percentile_cont(0.5) within group (order by response_ms) filter (where privately and not non_sla)
    )::bigint as median_privately_ms,
    count(*) filter (where answered and non_sla) as non_sla_answered,
    round(percentile_cont(0.5) within group (order by response_ms) filter (where non_sla))::bigint as non_sla_median_ms
from response_clocks
group by brand, channel;
comment on view first_response_time is
    'How fast the first human reply came, by brand and channel. Posts with a non-SLA target (praise) stand apart.';
comment on column first_response_time.brand is 'the brand';
comment on column first_response_time.channel is 'the network';
comment on column first_response_time.answered is 'clocks that a human reply has met';
comment on column first_response_time.answered_privately is 'of answered, how many by a private reply';
comment on column first_response_time.median_ms is 'milliseconds to the first human reply: half were faster';
comment on column first_response_time.p90_ms is 'milliseconds to the first human reply: nine of ten were faster';
comment on column first_response_time.sla_attainment is
    'of the clocks with a target that were met or are overdue, the share that was met in time, 0 to 1';
comment on column first_response_time.within_30_min is
    'share of all who asked that was answered within 30 minutes, 0 to 1; customers without an answer count as not';
comment on column first_response_time.within_60_min is 'the same as within_30_min, within 60 minutes';
comment on column first_response_time.within_2_h is 'the same as within_30_min, within 2 hours';
comment on column first_response_time.same_day is
    'share of all who asked that was answered on the day of the post, in the time zone of the brand, 0 to 1';
comment on column first_response_time.median_privately_ms is 'the median of private replies alone; median_ms counts them too';
comment on column first_response_time.non_sla_answered is 'the same as answered, of clocks with a non-SLA target';
comment on column first_response_time.non_sla_median_ms is 'the same as median_ms, of clocks with a non-SLA target';

create or replace view first_response_time_hourly as
select
    brand,
    channel,
    hour,
    count(*) filter (where answered and not non_sla) as answered,
    count(*) filter (where answered and privately and not non_sla) as answered_privately,
    round(percentile_cont(0.5) within group (order by response_ms) filter (where not non_sla))::bigint as median_ms,
    round(percentile_cont(0.9) within group (order by response_ms) filter (where not non_sla))::bigint as p90_ms,
    count(*) filter (where state = 'met' and due_at is not null and not non_sla)::double precision
        / nullif(
            count(*) filter (where (answered or breached_at is not null) and due_at is not null and not non_sla), 0
        ) as sla_attainment,
    count(*) filter (where response_ms <= 1800000 and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as within_30_min,
    count(*) filter (where response_ms <= 3600000 and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as within_60_min,
    count(*) filter (where response_ms <= 7200000 and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as within_2_h,
    count(*) filter (where same_day and not non_sla)::double precision
        / nullif(count(*) filter (where not non_sla), 0) as same_day,
    round(
        percentile_cont(0.5) within group (order by response_ms) filter (where privately and not non_sla)
    )::bigint as median_privately_ms,
    count(*) filter (where answered and non_sla) as non_sla_answered,
    round(percentile_cont(0.5) within group (order by response_ms) filter (where non_sla))::bigint as non_sla_median_ms
from response_clocks
group by brand, channel, hour;
comment on view first_response_time_hourly is 'first_response_time by the hour, UTC, in which the customer wrote.';
comment on column first_response_time_hourly.brand is 'the brand';
comment on column first_response_time_hourly.channel is 'the network';
comment on column first_response_time_hourly.hour is 'the hour, UTC, in which the customer wrote';
comment on column first_response_time_hourly.answered is 'clocks that a human reply has met';
comment on column first_response_time_hourly.answered_privately is 'of answered, how many by a private reply';
comment on column first_response_time_hourly.median_ms is 'milliseconds to the first human reply: half were faster';
comment on column first_response_time_hourly.p90_ms is 'milliseconds to the first human reply: nine of ten were faster';
comment on column first_response_time_hourly.sla_attainment is
    'of the clocks with a target that were met or are overdue, the share that was met in time, 0 to 1';
comment on column first_response_time_hourly.within_30_min is
    'share of all who asked that was answered within 30 minutes, 0 to 1; customers without an answer count as not';
comment on column first_response_time_hourly.within_60_min is 'the same as within_30_min, within 60 minutes';
comment on column first_response_time_hourly.within_2_h is 'the same as within_30_min, within 2 hours';
comment on column first_response_time_hourly.same_day is
    'share of all who asked that was answered on the day of the post, in the time zone of the brand, 0 to 1';
comment on column first_response_time_hourly.median_privately_ms is
    'the median of private replies alone; median_ms counts them too';
comment on column first_response_time_hourly.non_sla_answered is 'the same as answered, of clocks with a non-SLA target';
comment on column first_response_time_hourly.non_sla_median_ms is 'the same as median_ms, of clocks with a non-SLA target';

create or replace view resolved_clocks as
select
    k.case_id,
    k.brand,
    k.channel,
    date_trunc('hour', k.started_at, 'UTC') as hour,
    coalesce(c.close_reason = 'silence', false) as by_silence,
    (extract(epoch from k.met_at - k.started_at) * 1000)::bigint - k.paused_ms as resolution_ms
from clocks k
left join cases c on c.case_id = k.case_id
where k.metric = 'resolution' and k.state in ('met', 'met_late') and not k.non_sla
    and c.close_reason is distinct from 'no_reply';
comment on view resolved_clocks is 'The resolution clocks that resolution_time counts. Spam and non-SLA targets are left out.';
comment on column resolved_clocks.case_id is 'the case: cases.case_id';
comment on column resolved_clocks.brand is 'the brand of the case';
comment on column resolved_clocks.channel is 'the network of the case';
comment on column resolved_clocks.hour is 'the hour, UTC, in which the customer wrote';
comment on column resolved_clocks.by_silence is 'true: the case was closed because the customer wrote no more';
comment on column resolved_clocks.resolution_ms is 'milliseconds from the first post to the resolution, without the pauses';

create or replace view resolution_time as
select
    brand,
    channel,
    count(*) filter (where not by_silence) as resolved,
    count(*) filter (where by_silence) as resolved_by_silence,
    round(percentile_cont(0.5) within group (order by resolution_ms) filter (where not by_silence))::bigint as median_ms,
    round(percentile_cont(0.9) within group (order by resolution_ms) filter (where not by_silence))::bigint as p90_ms
from resolved_clocks
group by brand, channel;
comment on view resolution_time is
    'How long it took until cases were resolved, by brand and channel, without the time in which the customer was waited for.';
comment on column resolution_time.brand is 'the brand';
comment on column resolution_time.channel is 'the network';
comment on column resolution_time.resolved is 'cases that an operator resolved';
comment on column resolution_time.resolved_by_silence is
    'cases closed because the customer wrote no more: counted here, and not in median_ms and p90_ms';
comment on column resolution_time.median_ms is 'milliseconds to the resolution: half were faster';
comment on column resolution_time.p90_ms is 'milliseconds to the resolution: nine of ten were faster';

create or replace view resolution_time_hourly as
select
    brand,
    channel,
    hour,
    count(*) filter (where not by_silence) as resolved,
    count(*) filter (where by_silence) as resolved_by_silence,
    round(percentile_cont(0.5) within group (order by resolution_ms) filter (where not by_silence))::bigint as median_ms,
    round(percentile_cont(0.9) within group (order by resolution_ms) filter (where not by_silence))::bigint as p90_ms
from resolved_clocks
group by brand, channel, hour;
comment on view resolution_time_hourly is 'resolution_time by the hour, UTC, in which the customer wrote.';
comment on column resolution_time_hourly.brand is 'the brand';
comment on column resolution_time_hourly.channel is 'the network';
comment on column resolution_time_hourly.hour is 'the hour, UTC, in which the customer wrote';
comment on column resolution_time_hourly.resolved is 'cases that an operator resolved';
comment on column resolution_time_hourly.resolved_by_silence is
    'cases closed because the customer wrote no more: counted here, and not in median_ms and p90_ms';
comment on column resolution_time_hourly.median_ms is 'milliseconds to the resolution: half were faster';
comment on column resolution_time_hourly.p90_ms is 'milliseconds to the resolution: nine of ten were faster';

create or replace view reputation_balance as
select
    brand,
    count(*) filter (where label = 'praise') as praise,
    count(*) filter (where label = 'complaint') as complaints,
    count(*) filter (where label = 'praise') - 12 * count(*) filter (where label = 'complaint') as balance
from mentions m
where not own
    and not deleted
    and not exists (
        select from actions a
        where a.action = 'no_reply'
            and (a.brand, a.channel, a.author_id, a.native_id) = (m.brand, m.channel, m.author_id, m.native_id)
    )
group by brand;
comment on view reputation_balance is
    'Praise less twelve times the complaints, by the classifier''s labels. Deleted posts, and posts that an operator marked as '
    'needing no reply, are left out.';
comment on column reputation_balance.brand is 'the brand';
comment on column reputation_balance.praise is 'posts labelled praise';
comment on column reputation_balance.complaints is 'posts labelled complaint';
comment on column reputation_balance.balance is 'praise - 12 * complaints';

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
    (extract(epoch from s.ended_at - s.started_at) * 1000)::bigint as lasted_ms,
    s.peak,
    s.excess,
    s.close_reason,
    exists (
        select from surge_events e where e.type = 'CrisisOpened' and e.surge_id = s.surge_id
    ) as crisis
from surges s;
comment on view surge_history is 'Every surge with its length, peak and excess, and whether it was a crisis.';
comment on column surge_history.brand is 'the brand that the posts are about';
comment on column surge_history.surge_id is 'the surge: surges.surge_id';
comment on column surge_history.state is 'open or closed';
comment on column surge_history.detector is 'the detector that found the surge';
comment on column surge_history.scope is 'what the detector counts: the narrowest scope that explains the excess';
comment on column surge_history.name is 'the series: a channel, a root post, or empty for the whole brand';
comment on column surge_history.started_at is 'start of the window that showed the surge';
comment on column surge_history.ended_at is 'end of the window that closed the surge; null: it is open';
comment on column surge_history.lasted_ms is 'milliseconds from started_at to ended_at; null: it is open';
comment on column surge_history.peak is 'the largest ratio of posts to expected posts';
comment on column surge_history.excess is 'posts above the expected ones while the surge was open; null: it is open';
comment on column surge_history.close_reason is 'over or new_normal; null: it is open';
comment on column surge_history.crisis is 'true: a crisis was opened for this surge';
