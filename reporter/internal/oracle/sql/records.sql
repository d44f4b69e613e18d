-- Sessions as servers report them (SPEC 5.2, R8). Records are cumulative.

create or replace temp table records as
  select *, row_number() over (partition by anonymous, key, object_id, inside order by t desc, bytes desc, us desc, seq nulls last) as age
  from events
  where kind = 'session' and not error and t >= getvariable('start_ns') - 31 * 86400 * 1000000000::bigint;

-- The newest record of the period stands, unless there is playout under its key.
create or replace temp table standing as
  select * from records
  where inside and age = 1
    and not exists (
      from events p where p.kind = 'playout' and p.inside and not p.error
        and p.anonymous = records.anonymous and p.key = records.key and p.object_id = records.object_id);

-- What the period gets of it: less the newest record before the period, figure by figure.
create or replace temp table reported as
  with errors as (
    select anonymous, key, object_id, count(*) as errors from events where kind = 'playout' and inside and error group by all),
  opened as (
    select s.*, greatest(least(coalesce(s.opened_at, s.t - s.us * 1000), s.t), getvariable('start_ns')) as start_ns,
      greatest(s.bytes - coalesce(b.bytes, 0), 0) as new_bytes,
      greatest(s.us - coalesce(b.us, 0), 0) as new_us,
      b.t is not null as continued
    from standing s left join records b
      on not b.inside and b.age = 1 and b.anonymous = s.anonymous and b.key = s.key and b.object_id = s.object_id)
  select o.*, coalesce(e.errors, 0) as errors,
    case when closed_at <= o.t and closed_at >= start_ns then closed_at else o.t end as end_ns
  from opened o left join errors e on e.anonymous = o.anonymous and e.key = o.key and e.object_id = o.object_id;

-- All sessions of the period in one shape. The two kinds of seconds are apart; a session without video is watched by its audio (R4).
create or replace temp table sessions as
  with every as (
    select anonymous, key, object_id, start_ns, end_ns, requests, errors, bytes, video_us, audio_us, video_us > 0 or video_segments > 0 as has_video,
      video_segments, audio_segments, longest_video_us, longest_audio_us, live, continued,
      version_hash, offering, playout_format, protocol, client_ip, user_agent, referrer, auth_identity, auth_addr, auth_email, user_id,
      node_id, node_host, node_ip, node_region, client_country, client_region, client_city
    from played
    union all by name
    select anonymous, key, object_id, start_ns, end_ns, 1 as requests, errors, new_bytes as bytes,
      case when media in ('video', 'muxed') then new_us else 0 end as video_us, case when media = 'audio' then new_us else 0 end as audio_us,
      media in ('video', 'muxed') and new_us > 0 as has_video,
      0 as video_segments, 0 as audio_segments, null as longest_video_us, null as longest_audio_us, live, continued,
      version_hash, offering, playout_format, protocol, client_ip, user_agent, referrer, auth_identity, auth_addr, auth_email, user_id,
      node_id, node_host, node_ip, node_region, client_country, client_region, client_city
    from reported)
  select *, case when has_video then video_us else audio_us end as watched_us,
    case when anonymous then left(key, 16) || '-' || (start_ns // 1000000)::varchar else key end as session_id
  from every;
