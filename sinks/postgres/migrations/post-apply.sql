-- Grants to the roles that exist; the owner is whoever migrates.

do $$
begin
    if exists (select from pg_roles where rolname = 'netcenter_writer') then
        grant select, insert, update, delete on all tables in schema public to netcenter_writer;
    end if;
    if exists (select from pg_roles where rolname = 'netcenter_reader') then
        grant select on all tables in schema public to netcenter_reader;
    end if;
end
$$;
