-- What the catalog knows (SPEC 3, R14). Variables: tenant, start_s, bound_s (the earlier of as-of and end, in seconds).

-- Snapshots that were in force during a part of the period, each until the next one. The last is the one in force.
create or replace temp table in_force as
  select at_s, greatest(at_s, getvariable('start_s')) as from_s,
    coalesce(lead(at_s) over (order by at_s), getvariable('bound_s')) as until_s,
    lead(at_s) over (order by at_s) is null as last
  from (select distinct at_s from catalog where tenant = getvariable('tenant') and at_s <= getvariable('bound_s'))
  qualify until_s > getvariable('start_s') or last;

-- Their rows; of two with one id the later.
create or replace temp table listed as
  select c.*, f.from_s, f.until_s, f.last
  from catalog c join in_force f using (at_s)
  where c.tenant = getvariable('tenant')
  qualify row_number() over (partition by c.at_s, c.object_id order by c.line desc) = 1;

-- Objects with usage: anything but rejected rows and copies, inside the period.
create or replace temp table used as
  select object_id,
    coalesce(arg_min(library_id, (t, seq is null, coalesce(seq, 0), library_id)) filter (where library_id <> ''), '') as library_id
  from events where inside group by object_id;

-- Facts of an object are those of the last snapshot that lists it; without one, only its library (R20).
create or replace temp table facts as
  with newest as (select * from listed qualify row_number() over (partition by object_id order by at_s desc) = 1),
  sizes as (
    select object_id, sum(coalesce(storage_bytes, 0)::hugeint * greatest(until_s - from_s, 0)) as byte_seconds,
      coalesce(max(storage_bytes) filter (where last), 0) as storage
    from listed group by object_id)
  select object_id, case when n.object_id is null then u.library_id else coalesce(n.library_id, '') end as library_id,
    n.* exclude (object_id, library_id, tenant, at_s, line, from_s, until_s, last),
    coalesce(s.byte_seconds, 0)::hugeint as byte_seconds, coalesce(s.storage, 0)::hugeint as storage
  from newest n full join used u using (object_id) left join sizes s using (object_id);
