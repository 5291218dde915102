-- The tables remember of which log they are, so that the worker of another log does not fill them. Null in the rows that a
-- release before this one wrote last; the next write of a worker fills it in.
-- depends: 0003-late-posts
alter table sink_offsets add column if not exists prefix text;
