-- Posts that were read later than five minutes after they were made are counted apart. The worker of release 0.1.0 leaves both
-- columns null.
-- depends: 0002-kpis
alter table volumes
    add column if not exists late bigint,
    add column if not exists older bigint;
