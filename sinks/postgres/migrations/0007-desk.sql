-- The desk: how each round of work went, who has what, how long cases queue, holding replies and escalations.
-- depends: 0006-alert-history
create index if not exists assignments_work on assignments (work_id, seq);
create index if not exists assignments_operator on assignments (operator, time);
create index if not exists assignments_time on assignments (time);

-- A round of work is over with the first of these events of its case. A case that moves to another desk begins its next round there at
-- the same time, so a transfer ends only what began before it.
create or replace view work_ends as
select
    case_id,
    seq,
    time,
    case type when 'CaseClosed' then close_reason else change end as ended_by,
    detail->>'operator' as operator
from case_events
where type = 'CaseClosed'
    or change in ('muted', 'transferred')
    or change in ('answered', 'dismissed') and coalesce((detail->>'waiting')::boolean, true);
comment on view work_ends is 'The events of cases after which no message of the case waits at its desk: they end a round of work.';
comment on column work_ends.case_id is 'the case: cases.case_id';
comment on column work_ends.seq is 'the event: case_events.seq';
comment on column work_ends.time is 'when it was decided';
comment on column work_ends.ended_by is 'answered, transferred, muted, dismissed, or the reason for which the case was closed';
comment on column work_ends.operator is 'who answered or did it; null: nobody, or not known';

create or replace view assignment_history as
with rounds as (
    select
        work_id,
        case_id,
        brand,
        min(time) as first_event_at,
        (array_agg(
            case type when 'Overflowed' then detail->>'next_desk' else desk end order by seq desc
        ))[1] as desk,
        (array_agg(detail->>'channel' order by seq desc) filter (where type = 'Offered'))[1] as channel,
        (array_agg(detail->>'label' order by seq desc) filter (where type = 'Offered'))[1] as label,
        (array_agg((detail->>'priority')::bigint order by seq desc) filter (where type = 'Offered'))[1] as priority,
        (array_agg((detail->>'due_at')::timestamptz order by seq desc) filter (where type = 'Offered'))[1] as due_at,
        (array_agg(type order by seq desc) filter (where type in ('Offered', 'Assigned', 'Returned', 'Overflowed')))[1]
            as last_type,
        (array_agg(operator order by seq desc) filter (where type in ('Offered', 'Assigned')))[1] as last_operator,
        (array_agg(offer_id order by seq desc) filter (where type in ('Offered', 'Assigned')))[1] as last_offer,
        min(time) filter (where type = 'Assigned') as accepted_at,
        min((detail->>'waited_ms')::bigint) filter (where type = 'Assigned') as waited_ms,
        count(*) filter (where type = 'Offered') as offers,
        string_agg(distinct operator, ', ') filter (where type = 'Offered') as offered_to,
        count(*) filter (where type = 'Returned') as returns,
        count(*) filter (where type = 'Returned' and detail->>'return_reason' = 'declined') as declined,
        count(*) filter (where type = 'Returned' and detail->>'return_reason' = 'timed_out') as timed_out,
        count(*) filter (where type = 'Overflowed') as overflows,
        count(*) filter (where type = 'Escalated') as escalations,
        count(*) filter (where type = 'HoldingReplyDue') as holding_replies
    from assignments
    group by work_id, case_id, brand
)
select
    r.work_id,
    r.case_id,
    r.brand,
    r.desk,
    r.channel,
    r.label,
    r.priority,
    r.due_at,
    case
        when e.time is not null then e.ended_by
        when r.last_type = 'Offered' then 'offered'
        when r.last_type = 'Assigned' then 'assigned'
        else 'queued'
    end as state,
    case when e.time is not null or r.last_type in ('Offered', 'Assigned') then r.last_operator end as operator,
    r.last_offer as offer_id,
    r.accepted_at - r.waited_ms * interval '1 ms' as queued_at,
    r.first_event_at,
    r.accepted_at,
    r.waited_ms,
    r.offers,
    r.offered_to,
    r.returns,
    r.declined,
    r.timed_out,
    r.overflows,
    r.escalations,
    r.holding_replies,
    case when e.ended_by = 'answered' then e.time end as answered_at,
    case when e.ended_by = 'answered' then e.operator end as answered_by,
    e.time as ended_at
from rounds r
left join lateral (
    select w.time, w.ended_by, w.operator
    from work_ends w
    where w.case_id = r.case_id
        and (w.time > r.first_event_at or w.time = r.first_event_at and w.ended_by <> 'transferred')
    order by w.seq
    limit 1
) e on true;
comment on view assignment_history is
    'Every round of work on a case, from the first event of its desk to its end: how long it queued, to whom it was offered, how '
    'often it came back, who took it and who answered. A round without any event of its desk has no row.';
comment on column assignment_history.work_id is 'the round of work: assignments.work_id';
comment on column assignment_history.case_id is 'the case: cases.case_id';
comment on column assignment_history.brand is 'the brand of the case';
comment on column assignment_history.desk is 'the desk where it is or was last';
comment on column assignment_history.channel is 'the network of the case, by its last offer; null: it was never offered';
comment on column assignment_history.label is 'the label of the case, by its last offer; null: it was never offered';
comment on column assignment_history.priority is 'the priority of the case, by its last offer; null: it was never offered';
comment on column assignment_history.due_at is 'when the answer is due, by its last offer; null: no target, or never offered';
comment on column assignment_history.state is
    'queued, offered or assigned; of a round that is over what ended it: answered, transferred, muted, dismissed, or the reason for which '
    'the case was closed';
comment on column assignment_history.operator is 'who has it or is offered it; of a round that is over, who had it last; null: nobody';
comment on column assignment_history.offer_id is 'the last offer: assignments.id of the row with type Offered; null: it was never offered';
comment on column assignment_history.queued_at is 'when it was queued; null: nobody has accepted it, and then PostgreSQL cannot know';
comment on column assignment_history.first_event_at is 'the first event of its desk: an offer, a holding reply or an escalation';
comment on column assignment_history.accepted_at is 'when an operator first accepted it; null: nobody has';
comment on column assignment_history.waited_ms is 'milliseconds from queueing to the first acceptance; null: nobody has accepted it';
comment on column assignment_history.offers is 'how often it was offered';
comment on column assignment_history.offered_to is 'to whom it was offered, by name, separated by commas; null: nobody';
comment on column assignment_history.returns is 'how often it came back to the queue';
comment on column assignment_history.declined is 'of returns, how often an operator declined it';
comment on column assignment_history.timed_out is 'of returns, how often an operator did not answer the offer in time';
comment on column assignment_history.overflows is 'how often a desk that could not take it handed it on';
comment on column assignment_history.escalations is 'how often it climbed, on every rung';
comment on column assignment_history.holding_replies is 'holding replies that were due, dry runs included';
comment on column assignment_history.answered_at is 'when a human reply was read that answers all of its posts; null: none was';
comment on column assignment_history.answered_by is 'who wrote that reply, whether or not they had the case; null: not known, or none did';
comment on column assignment_history.ended_at is 'when the round was over; null: it is not';

create or replace view operator_load as
with newest as (
    select a.work_id, a.case_id, a.brand, a.desk, a.type, a.operator, a.offer_id, a.time, c.state = 'waiting' as waits
    from cases c
    cross join lateral (
        select *
        from assignments b
        where b.case_id = c.case_id and b.type in ('Offered', 'Assigned', 'Returned', 'Overflowed')
        order by b.time desc, b.seq desc
        limit 1
    ) a
    where c.state <> 'closed'
)
select
    n.operator,
    n.desk,
    count(*) filter (where n.type = 'Assigned') as held,
    count(*) filter (where n.type = 'Offered') as offered,
    count(*) filter (where n.type = 'Assigned' and n.waits) as waiting,
    coalesce(sum(coalesce((o.detail->>'weight')::bigint, 1)) filter (where not (n.type = 'Assigned' and n.waits)), 0)::bigint
        as units,
    coalesce(sum(coalesce((o.detail->>'weight')::bigint, 1)) filter (where n.type = 'Assigned' and n.waits), 0)::bigint
        as waiting_units,
    min(n.time) as oldest_at
from newest n
left join assignments o on o.id = n.offer_id
where n.type in ('Offered', 'Assigned')
    and not exists (
        select from work_ends w
        where w.case_id = n.case_id and (w.time > n.time or w.time = n.time and w.ended_by <> 'transferred')
    )
group by n.operator, n.desk;
comment on view operator_load is
    'What each operator has and is offered now, by desk. An operator without any case has no row, signed in or not: PostgreSQL does '
    'not know who is signed in. Their capacity is for all desks together.';
comment on column operator_load.operator is 'the operator';
comment on column operator_load.desk is 'the desk of the cases';
comment on column operator_load.held is 'cases that the operator has accepted, and that are neither answered nor withdrawn';
comment on column operator_load.offered is 'cases that are offered to the operator, and that they have not answered yet';
comment on column operator_load.waiting is 'of held, those in which the operator waits for the customer';
comment on column operator_load.units is 'units of capacity of the cases held and offered, without those of waiting';
comment on column operator_load.waiting_units is
    'units of capacity of the cases of waiting; they count too at a desk whose policy says wait_frees = false';
comment on column operator_load.oldest_at is 'since when the operator has, or is offered, the oldest of these cases';

create or replace view operator_occupancy as
with turns as (
    select
        work_id, case_id, seq, type, operator, time,
        lead(time) over (partition by work_id order by seq) as next_at
    from assignments
    where type in ('Offered', 'Assigned', 'Returned', 'Overflowed')
),
holds as (
    select
        t.operator,
        tstzrange(t.time, coalesce(least(t.next_at, e.time), (select max(time) from assignments))) as held
    from turns t
    left join lateral (
        select w.time
        from work_ends w
        where w.case_id = t.case_id and (w.time > t.time or w.time = t.time and w.ended_by <> 'transferred')
        order by w.seq
        limit 1
    ) e on true
    where t.type = 'Assigned'
),
seen as (
    select operator, time as since, time as until, null::tstzrange as held from assignments where operator is not null
    union all
    select operator, lower(held), upper(held), held from holds where not isempty(held)
),
days as (
    select
        s.operator,
        d.day,
        min(greatest(s.since, d.day)) as first_at,
        max(least(s.until, d.day + interval '1 day')) as last_at,
        range_agg(s.held * tstzrange(d.day, d.day + interval '1 day')) filter (where s.held is not null) as held
    from seen s
    cross join lateral generate_series(
        date_trunc('day', s.since, 'UTC'), date_trunc('day', s.until, 'UTC'), interval '1 day'
    ) as d(day)
    group by s.operator, d.day
)
select
    operator,
    day,
    first_at,
    last_at,
    (extract(epoch from last_at - first_at) * 1000)::bigint as seen_ms,
    coalesce(b.busy_ms, 0) as busy_ms,
    coalesce(b.busy_ms, 0) / nullif(extract(epoch from last_at - first_at) * 1000, 0)::double precision as occupancy
from days
left join lateral (
    select (sum(extract(epoch from upper(r) - lower(r))) * 1000)::bigint as busy_ms from unnest(held) as r
) b on true;
comment on view operator_occupancy is
    'How much of their day each operator had at least one case, by UTC days. PostgreSQL has no sign-ins: a day goes from the first to the '
    'last event of the operator, so that breaks count as time without a case, and a shift without any offer is not seen.';
comment on column operator_occupancy.operator is 'the operator';
comment on column operator_occupancy.day is 'the day, UTC: its first moment';
comment on column operator_occupancy.first_at is 'the operator''s first event of the day: an offer, an acceptance, a return, or a case they still had';
comment on column operator_occupancy.last_at is 'the last such event of the day, or when their last case was answered or withdrawn';
comment on column operator_occupancy.seen_ms is 'milliseconds from first_at to last_at';
comment on column operator_occupancy.busy_ms is 'of seen_ms, how many milliseconds the operator had at least one case';
comment on column operator_occupancy.occupancy is 'busy_ms / seen_ms, 0 to 1; null: one event only';

create or replace view time_in_queue as
with accepted as (
    select distinct on (a.work_id)
        a.brand,
        a.desk,
        (o.detail->>'priority')::bigint as priority,
        (a.detail->>'waited_ms')::bigint as waited_ms,
        date_trunc('hour', a.time - (a.detail->>'waited_ms')::bigint * interval '1 ms', 'UTC') as hour
    from assignments a
    left join assignments o on o.id = a.offer_id
    where a.type = 'Assigned'
    order by a.work_id, a.seq
)
select
    brand,
    desk,
    priority,
    hour,
    count(*) as accepted,
    round(percentile_cont(0.5) within group (order by waited_ms))::bigint as median_ms,
    round(percentile_cont(0.9) within group (order by waited_ms))::bigint as p90_ms,
    round(percentile_cont(0.95) within group (order by waited_ms))::bigint as p95_ms,
    max(waited_ms) as longest_ms
from accepted
group by brand, desk, priority, hour;
comment on view time_in_queue is
    'How long cases queued until an operator accepted them for the first time, by desk, priority and the hour in which they were queued. '
    'Cases that nobody has accepted are not in it: assignment_history has those.';
comment on column time_in_queue.brand is 'the brand of the cases';
comment on column time_in_queue.desk is 'the desk at which they were accepted';
comment on column time_in_queue.priority is 'the priority at the offer that was accepted: 1 is the most urgent';
comment on column time_in_queue.hour is 'the hour, UTC, in which they were queued';
comment on column time_in_queue.accepted is 'rounds of work that were accepted';
comment on column time_in_queue.median_ms is 'milliseconds in the queue: half were faster';
comment on column time_in_queue.p90_ms is 'milliseconds in the queue: nine of ten were faster';
comment on column time_in_queue.p95_ms is 'milliseconds in the queue: nineteen of twenty were faster';
comment on column time_in_queue.longest_ms is 'milliseconds in the queue of the one that waited longest';

create or replace view holding_replies as
select
    h.brand,
    h.desk,
    h.detail->>'channel' as channel,
    date_trunc('hour', h.time, 'UTC') as hour,
    count(*) as due,
    count(*) filter (where (h.detail->>'dry_run')::boolean) as dry_runs,
    count(*) filter (where h.detail->>'suppressed' = 'customer') as suppressed_by_customer,
    count(*) filter (where h.detail->>'suppressed' = 'account') as suppressed_by_account,
    count(*) filter (where h.detail->>'suppressed' = 'conversation') as suppressed_by_conversation,
    count(*) filter (where k.time is not null) as cancelled,
    count(*) filter (where r.created_at <= (h.detail->>'expires_at')::timestamptz) as sent,
    count(*) filter (where r.created_at > (h.detail->>'expires_at')::timestamptz) as sent_late,
    count(*) filter (where r.created_at > k.time) as sent_after_cancel
from assignments h
left join cases c on c.case_id = h.case_id and c.author_id <> ''
left join lateral (
    select b.time
    from assignments b
    where b.work_id = h.work_id and b.type = 'HoldingReplyCancelled' and b.detail->>'holding_id' = h.id::text
    limit 1
) k on true
left join lateral (
    select p.created_at
    from replies p
    where p.brand = c.brand and p.channel = c.channel and p.author_id = c.author_id
        and p.kind = 'holding' and p.created_at >= h.time and p.created_at < h.time + interval '1 day'
        and not (h.detail->>'dry_run')::boolean
    order by p.created_at
    limit 1
) r on true
where h.type = 'HoldingReplyDue'
group by h.brand, h.desk, h.detail->>'channel', date_trunc('hour', h.time, 'UTC');
comment on view holding_replies is
    'Holding replies that were due, by desk, channel and hour: how many were dry runs, kept back by a limit, cancelled, and sent. One counts as '
    'sent where the customer got a reply of kind holding within a day.';
comment on column holding_replies.brand is 'the brand';
comment on column holding_replies.desk is 'the desk';
comment on column holding_replies.channel is 'the network';
comment on column holding_replies.hour is 'the hour, UTC, in which they were due';
comment on column holding_replies.due is 'holding replies that were due, dry runs included';
comment on column holding_replies.dry_runs is 'of due, those that no sender may send: the brand was in shadow mode, or a limit was reached';
comment on column holding_replies.suppressed_by_customer is 'of dry_runs, those of a customer who had one within the time of the policy';
comment on column holding_replies.suppressed_by_account is 'of dry_runs, those above the number that an account may send in an hour';
comment on column holding_replies.suppressed_by_conversation is 'of dry_runs, those in a conversation that had one';
comment on column holding_replies.cancelled is 'of due, those that were taken back, as an operator had the case or it needed no answer any more';
comment on column holding_replies.sent is 'of due, those after which a holding reply came in time; customers who were forgotten count as not';
comment on column holding_replies.sent_late is 'of due, those after which one came later than it might: the sender overlooks expires_at';
comment on column holding_replies.sent_after_cancel is
    'of due, those after which one came though it was taken back: the sender overlooks cancellations, or had sent it already';

create or replace view escalations as
select
    x.id,
    x.brand,
    x.desk,
    x.case_id,
    x.work_id,
    x.time as escalated_at,
    x.detail->>'rung' as rung,
    nullif(x.detail->>'to', '') as asked,
    (x.detail->>'used')::bigint as used,
    x.detail->>'mode' as mode,
    x.reason,
    a.operator as accepted_by,
    a.time as accepted_at,
    least(a.time, e.time) as over_at,
    (extract(epoch from least(a.time, e.time) - x.time) * 1000)::bigint as lasted_ms
from assignments x
left join lateral (
    select b.operator, b.time
    from assignments b
    where b.work_id = x.work_id and b.type = 'Assigned' and b.seq > x.seq
    order by b.seq
    limit 1
) a on true
left join lateral (
    select w.time
    from work_ends w
    where w.case_id = x.case_id and (w.time > x.time or w.time = x.time and w.ended_by <> 'transferred')
    order by w.seq
    limit 1
) e on true
where x.type = 'Escalated';
comment on view escalations is
    'Every time that a case climbed its desk''s ladder: the rung, who was asked, why, and when somebody accepted or answered it.';
comment on column escalations.id is 'the event: assignments.id';
comment on column escalations.brand is 'the brand of the case';
comment on column escalations.desk is 'the desk';
comment on column escalations.case_id is 'the case: cases.case_id';
comment on column escalations.work_id is 'the round of work: assignments.work_id';
comment on column escalations.escalated_at is 'when it climbed';
comment on column escalations.rung is 'operator, responsible or lead';
comment on column escalations.asked is 'the person who is asked; null: the policy names nobody for the rung';
comment on column escalations.used is 'percent of the target that was used; 0 where it has none';
comment on column escalations.mode is 'live or shadow';
comment on column escalations.reason is 'why it climbed';
comment on column escalations.accepted_by is 'who accepted it next; null: nobody has';
comment on column escalations.accepted_at is 'when they did; null: nobody has';
comment on column escalations.over_at is 'when it was accepted, answered or withdrawn; null: it waits';
comment on column escalations.lasted_ms is 'milliseconds from escalated_at to over_at; null: it waits';
