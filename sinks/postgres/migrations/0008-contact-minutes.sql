-- How many minutes a count of contacts holds. The worker of release 0.1.0 leaves it at one.
-- depends: 0007-desk
alter table contacts add column if not exists minutes bigint not null default 1;
