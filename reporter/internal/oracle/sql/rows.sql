-- What every row is, for all tenants: its object, why it is rejected, whether it is a copy.

-- Rows without a usable tenant or time belong to no statement. From here on, time is given and tenant_id is good.
create view rows_read as
  select r.* exclude (object_id),
    case when r.object_id <> '' then r.object_id else coalesce(h.object_id, '') end as object_id
  from raw r left join (select distinct version_hash, object_id from hashes) h on r.object_id = '' and r.version_hash = h.version_hash
  where regexp_full_match(tenant_id, '[A-Za-z0-9][A-Za-z0-9._-]{0,63}')
    and "time" >= 946684800000000000   -- 2000-01-01
    and "time" < 4102444800000000000;  -- 2100-01-01

-- The first reason that applies (R22); null for a good row.
create table rows_judged as
  select *, case
    when bad then 'bad_value'
    when node_id = '' then 'no_node'
    when kind not in ('playout', 'data_download', 'public_download', 'ingest', 'media', 'update', 'rep', 'session') then 'unknown_kind'
    when track not in ('', 'video', 'audio', 'muxed', 'text', 'manifest', 'init') then 'unknown_track'
    when object_id = '' then 'no_object'
    when greatest(strlen(object_id), strlen(node_id), strlen(session_id)) > 1024 then 'id_too_long'
    when object_id = tenant_id then 'object_is_tenant'
    when bytes < 0 then 'negative_bytes'
    when duration_us < 0 then 'negative_duration'
    when least(status, width, height, source_width, source_height, segment, seq) < 0 then 'negative_value'
    when bytes > 1::bigint << 50 or duration_us > 31::bigint * 86400 * 1000000 then 'implausible'
  end as reason
  from rows_read;

-- A copy is a good row with the node, number (or, without one, id) and time of an earlier one.
create table copies as
  select file, line from (
    select file, line, row_number() over (
      partition by node_id, seq, case when seq is null then event_id end, "time" order by file, line) as nth
    from rows_judged
    where reason is null and (seq is not null or event_id <> '')
  ) where nth > 1;

drop view rows_read;
drop table raw;

create view rows as
  select r.* replace (
      coalesce(bytes, 0) as bytes, coalesce(status, 200) as status, coalesce(duration_us, 0) as duration_us, coalesce(live, 0) = 1 as live,
      nullif(width, 0) as width, nullif(height, 0) as height, nullif(source_width, 0) as source_width, nullif(source_height, 0) as source_height),
    c.line is not null as copy
  from rows_judged r left join copies c using (file, line);

create table referrers as select referrer, without_secrets(referrer) as public from (select distinct referrer from rows_judged);
