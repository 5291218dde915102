-- The KPIs, over all time and by the hour in which the customer wrote.
-- depends: 0003-places-and-forgotten

-- A clock counts while it runs and once it was met. One that was voided counts where its case was closed unanswered, for
-- then somebody asked and got no answer: the closing has the cause of the voiding. pg_timezone_names: a zone that this
-- server does not know would be an error.
create or replace view response_clocks as
select
    k.case_id, k.metric, k.cycle, k.brand, k.channel, k.author_id, k.desk, k.label, k.state, k.started_at, k.due_at,
    k.target_ms, k.courtesy, k.warned, k.met_at, k.breached_at, k.detected_at, k.paused_at, k.rescinded_at,
    k.late_arrival, k.privately, k.seq,
    date_trunc('hour', k.started_at, 'UTC') as hour,
    k.state in ('MET', 'MET_LATE') as answered,
    case when k.state in ('MET', 'MET_LATE') then k.met_at - k.started_at end as took,
    k.state in ('MET', 'MET_LATE')
        and (k.met_at at time zone coalesce(z.name, 'UTC'))::date
            = (k.started_at at time zone coalesce(z.name, 'UTC'))::date as same_day
from clocks k
left join cases c on c.case_id = k.case_id
left join pg_timezone_names z on z.name = c.zone
where k.metric = 'first_response'
    and c.why is distinct from 'no_reply'
    and case
        when k.state in ('MET', 'MET_LATE') then true
        when k.state = 'VOID' then exists (
            select from case_events v
            join case_events e on e.case_id = v.case_id and e.cause = v.cause and e.type = 'CaseClosed'
            where v.case_id = k.case_id and v.seq = k.seq
                and coalesce(e.change, e.detail ->> 'why') in ('resolved', 'silence', 'no_target')
        )
        else c.why is null or c.why not in ('deleted_unanswered', 'muted', 'forgotten')
    end;
comment on view response_clocks is
    'the first response clocks that the KPIs count; not: spam and all else closed as no_reply, and what was deleted, '
    'muted, forgotten or relabelled before an answer';
comment on column response_clocks.hour is 'in which the customer wrote, UTC';
comment on column response_clocks.took is 'from the post to the first human reply, by their own times';
comment on column response_clocks.same_day is 'answered on the day of the post, in the time zone of the brand';

create or replace view answer_rate as
select
    brand,
    channel,
    count(*) filter (where not courtesy) as asked,
    count(*) filter (where answered and not courtesy) as answered,
    count(*) filter (where answered and privately and not courtesy) as answered_privately,
    count(*) filter (where answered and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as answer_rate,
    count(*) filter (where courtesy) as courtesy_asked,
    count(*) filter (where answered and courtesy) as courtesy_answered
from response_clocks
group by brand, channel;
comment on view answer_rate is 'how many who wanted an answer got one; praise with a courtesy clock apart';
comment on column answer_rate.asked is 'answered, waiting, or closed unanswered';
comment on column answer_rate.answered is 'by a human reply, public or private';

create or replace view answer_rate_hourly as
select
    brand,
    channel,
    hour,
    count(*) filter (where not courtesy) as asked,
    count(*) filter (where answered and not courtesy) as answered,
    count(*) filter (where answered and privately and not courtesy) as answered_privately,
    count(*) filter (where answered and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as answer_rate,
    count(*) filter (where courtesy) as courtesy_asked,
    count(*) filter (where answered and courtesy) as courtesy_answered
from response_clocks
group by brand, channel, hour;
comment on view answer_rate_hourly is 'answer_rate by the hour in which the customer wrote, UTC';

create or replace view first_response as
select
    brand,
    channel,
    count(*) filter (where answered and not courtesy) as answered,
    count(*) filter (where answered and privately and not courtesy) as answered_privately,
    percentile_cont(0.5) within group (order by took) filter (where not courtesy) as median,
    percentile_cont(0.9) within group (order by took) filter (where not courtesy) as p90,
    count(*) filter (where state = 'MET' and due_at is not null and not courtesy)::double precision
        / nullif(
            count(*) filter (where (answered or breached_at is not null) and due_at is not null and not courtesy), 0
        ) as share_in_target,
    count(*) filter (where took <= interval '30 minutes' and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as within_30_min,
    count(*) filter (where took <= interval '60 minutes' and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as within_60_min,
    count(*) filter (where took <= interval '2 hours' and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as within_2_h,
    count(*) filter (where same_day and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as same_day,
    percentile_cont(0.5) within group (order by took) filter (where privately and not courtesy) as median_privately,
    count(*) filter (where answered and courtesy) as courtesy_answered,
    percentile_cont(0.5) within group (order by took) filter (where courtesy) as courtesy_median
from response_clocks
group by brand, channel;
comment on view first_response is 'how fast the first human reply came; praise with a courtesy clock apart';
comment on column first_response.share_in_target is 'of the clocks with a target that were met or are overdue';
comment on column first_response.within_30_min is 'of all who asked: who got no answer is not within it either';
comment on column first_response.within_60_min is 'of all who asked, as within_30_min';
comment on column first_response.within_2_h is 'of all who asked, as within_30_min';
comment on column first_response.same_day is 'of all who asked: answered on the day of the post, in the time zone of the brand';
comment on column first_response.median_privately is 'of the private answers, which the median of all counts too';

create or replace view first_response_hourly as
select
    brand,
    channel,
    hour,
    count(*) filter (where answered and not courtesy) as answered,
    count(*) filter (where answered and privately and not courtesy) as answered_privately,
    percentile_cont(0.5) within group (order by took) filter (where not courtesy) as median,
    percentile_cont(0.9) within group (order by took) filter (where not courtesy) as p90,
    count(*) filter (where state = 'MET' and due_at is not null and not courtesy)::double precision
        / nullif(
            count(*) filter (where (answered or breached_at is not null) and due_at is not null and not courtesy), 0
        ) as share_in_target,
    count(*) filter (where took <= interval '30 minutes' and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as within_30_min,
    count(*) filter (where took <= interval '60 minutes' and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as within_60_min,
    count(*) filter (where took <= interval '2 hours' and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as within_2_h,
    count(*) filter (where same_day and not courtesy)::double precision
        / nullif(count(*) filter (where not courtesy), 0) as same_day,
    percentile_cont(0.5) within group (order by took) filter (where privately and not courtesy) as median_privately,
    count(*) filter (where answered and courtesy) as courtesy_answered,
    percentile_cont(0.5) within group (order by took) filter (where courtesy) as courtesy_median
from response_clocks
group by brand, channel, hour;
comment on view first_response_hourly is 'first_response by the hour in which the customer wrote, UTC';

create or replace view resolved_clocks as
select
    k.brand,
    k.channel,
    date_trunc('hour', k.started_at, 'UTC') as hour,
    coalesce(c.why = 'silence', false) as by_silence,
    k.met_at - k.started_at - k.paused_ms * interval '1 millisecond' as took
from clocks k
left join cases c on c.case_id = k.case_id
where k.metric = 'resolution' and k.state in ('MET', 'MET_LATE') and not k.courtesy
    and c.why is distinct from 'no_reply';
comment on view resolved_clocks is 'the resolution clocks that resolution_time counts; spam left out';
comment on column resolved_clocks.took is 'from the first post to the resolution, without the pauses';

create or replace view resolution_time as
select
    brand,
    channel,
    count(*) filter (where not by_silence) as resolved,
    count(*) filter (where by_silence) as resolved_by_silence,
    percentile_cont(0.5) within group (order by took) filter (where not by_silence) as median,
    percentile_cont(0.9) within group (order by took) filter (where not by_silence) as p90
from resolved_clocks
group by brand, channel;
comment on view resolution_time is 'how long until a case was resolved, without the time in which the customer was waited for';
comment on column resolution_time.resolved_by_silence is
    'because the customer wrote no more: counted here, and not in median and p90';

create or replace view resolution_time_hourly as
select
    brand,
    channel,
    hour,
    count(*) filter (where not by_silence) as resolved,
    count(*) filter (where by_silence) as resolved_by_silence,
    percentile_cont(0.5) within group (order by took) filter (where not by_silence) as median,
    percentile_cont(0.9) within group (order by took) filter (where not by_silence) as p90
from resolved_clocks
group by brand, channel, hour;
comment on view resolution_time_hourly is 'resolution_time by the hour in which the customer wrote, UTC';

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
    'praise less twelve times the complaints, by the labels of the classifier; deleted posts and those marked as needing '
    'no reply left out';

comment on view surge_history is 'every surge with its length, peak and excess, and whether it was a crisis';
comment on column surge_history.peak is 'the largest ratio of posts to those expected';
comment on column surge_history.excess is 'posts above those expected while it was open';
