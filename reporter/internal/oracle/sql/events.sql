-- One tenant's rows, and what each of them counts as.
--
-- Variables: tenant, start_ns (of the period), end_ns, bound_ns (the earlier of as-of and end), look_ns (how far back sessions are looked for),
-- idle_with_ns, idle_without_ns, window_with_ns, window_without_ns (idle times, and those in whole hours), density_of, guard and the thresholds.

-- Sizes are null where they are missing (R10).
create or replace macro tier(w, h) as case
  when w is null or h is null then 'unclassified'
  when greatest(w, h) >= getvariable('hi_long') or least(w, h) >= getvariable('hi_short') then 'hi'
  when greatest(w, h) >= getvariable('md_long') or least(w, h) >= getvariable('md_short') then 'md'
  else 'lo' end;

-- SPEC 2.3, the first that applies.
create or replace macro is_drm(given, format, track) as case
  when given is not null then given = 1
  when track = 'audio' and ends_with(format, '-audio-clear') then false
  when regexp_matches(format, 'widevine|fairplay|playready|aes|drm') then true
  else not (format = '' or not contains(format, '-') or ends_with(format, '-clear')) end;

-- Good rows that are no copies, before the bound, with those before the period that a session may have begun in. A row is an error, gone
-- (499: bytes and a request, but no seconds and no segment) or neither.
create or replace temp table events as
  select
    "time" as t, "time" >= getvariable('start_ns') as inside, kind, object_id, library_id, seq,
    status >= 400 and status <> 499 as error, status >= 500 as server_error, bytes,
    case when status = 499 then 0 else duration_us end as us,
    case when status = 499 then null else segment end as segment,
    status = 499 as gone,
    case when track <> '' then track
         when kind = 'ingest' and (width is null or height is null) then 'audio'
         when kind = 'ingest' then 'video'
         else 'muxed' end as media,
    is_drm(drm, lower(playout_format), track) as protected,
    tier(width, height) as tier,
    case when getvariable('density_of') = 'source' then tier(source_width, source_height) else tier(width, height) end as density,
    codec_name(codec) as codec, codec_name(source_codec) as source_codec,
    live, opened_at, closed_at,
    session_id = '' and kind in ('playout', 'session') as anonymous,
    case when kind not in ('playout', 'session') then ''
         when session_id <> '' then session_id
         else sha256(field(tenant_id) || field(object_id) || field(case when token <> '' then token else auth_addr end) || field(client_ip) || field(user_agent))
         end as key,
    version_hash, offering, playout_format,
    case when protocol <> '' then protocol else string_split(playout_format, '-')[1] end as protocol,
    client_ip, user_agent, referrers.public as referrer, auth_identity, auth_addr, auth_email, user_id,
    node_id, node_host, node_ip, node_region, client_country, client_region, client_city
  from rows join referrers using (referrer)
  where tenant_id = getvariable('tenant') and reason is null and not copy
    and "time" < getvariable('bound_ns') and "time" >= getvariable('start_ns') - getvariable('look_ns');

-- Files of the run: those with a row of the tenant inside the period, whatever becomes of the row (R19).
create or replace temp table run_rows as
  with files as (
    select distinct file from rows_judged
    where tenant_id = getvariable('tenant') and "time" >= getvariable('start_ns') and "time" < getvariable('end_ns'))
  select "time" as t, kind, reason, copy, status >= 400 and status <> 499 as error
  from rows join files using (file)
  where tenant_id = getvariable('tenant');
