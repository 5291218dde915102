-- Grants to the roles that exist, in the schema that was migrated; the owner is whoever migrates.

do $$
begin
    if exists (select from pg_roles where rolname = 'netcenter_writer') then
        execute format('grant select, insert, update, delete on all tables in schema %I to netcenter_writer', current_schema());
    end if;
    if exists (select from pg_roles where rolname = 'netcenter_reader') then
        execute format('grant select on all tables in schema %I to netcenter_reader', current_schema());
    end if;
end
$$;
