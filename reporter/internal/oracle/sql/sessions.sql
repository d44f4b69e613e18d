-- Sessions, from playout and from servers' reports.

-- Playout of the period and of the idle time before it (in whole hours, R18), cut where a client was idle for longer than it may be. Events of
-- one instant are never cut apart.
create or replace temp table stretches as
  with playout as (
    select *, case when anonymous then getvariable('idle_without_ns') else getvariable('idle_with_ns') end as idle
    from events
    where kind = 'playout'
      and t >= getvariable('start_ns') - case when anonymous then getvariable('window_without_ns') else getvariable('window_with_ns') end),
  pauses as (
    select *, t - lag(t) over (partition by anonymous, key, object_id order by t) as pause from playout)
  select * exclude (pause, idle), sum(case when pause > idle then 1 else 0 end) over (partition by anonymous, key, object_id order by t range unbounded preceding) as stretch
  from pauses;

-- The value of the earliest event that is not an error and has one; then the lower seq, none last; then the smaller value (R2).
create or replace macro earliest(v, t, seq, good) as
  coalesce(arg_min(v, (t, seq is null, coalesce(seq, 0), v)) filter (where good and v <> ''), '');

-- A stretch is a session of the period when it has a request in it that is not an error.
create or replace temp table played as
  select anonymous, key, object_id, stretch,
    min(t) filter (where inside and not error) as start_ns,
    max(t) filter (where inside) as end_ns,
    count(*) filter (where inside and not error) as requests,
    count(*) filter (where inside and error) as errors,
    coalesce(sum(bytes) filter (where inside and not error), 0) as bytes,
    coalesce(sum(us) filter (where inside and not error and media in ('video', 'muxed')), 0) as video_us,
    coalesce(sum(us) filter (where inside and not error and media = 'audio'), 0) as audio_us,
    count(distinct segment) filter (where inside and not error and media in ('video', 'muxed')) as video_segments,
    count(distinct segment) filter (where inside and not error and media = 'audio') as audio_segments,
    max(us) filter (where inside and not error and media in ('video', 'muxed') and segment is not null) as longest_video_us,
    max(us) filter (where inside and not error and media = 'audio' and segment is not null) as longest_audio_us,
    bool_or(live) filter (where inside) as live,
    coalesce(bool_or(not error) filter (where not inside), false) as continued,
    earliest(version_hash, t, seq, inside and not error) as version_hash, earliest(offering, t, seq, inside and not error) as offering, earliest(playout_format, t, seq, inside and not error) as playout_format, earliest(protocol, t, seq, inside and not error) as protocol,
    earliest(client_ip, t, seq, inside and not error) as client_ip, earliest(user_agent, t, seq, inside and not error) as user_agent, earliest(referrer, t, seq, inside and not error) as referrer,
    earliest(auth_identity, t, seq, inside and not error) as auth_identity, earliest(auth_addr, t, seq, inside and not error) as auth_addr, earliest(auth_email, t, seq, inside and not error) as auth_email, earliest(user_id, t, seq, inside and not error) as user_id,
    earliest(node_id, t, seq, inside and not error) as node_id, earliest(node_host, t, seq, inside and not error) as node_host, earliest(node_ip, t, seq, inside and not error) as node_ip, earliest(node_region, t, seq, inside and not error) as node_region,
    earliest(client_country, t, seq, inside and not error) as client_country, earliest(client_region, t, seq, inside and not error) as client_region, earliest(client_city, t, seq, inside and not error) as client_city
  from stretches
  group by anonymous, key, object_id, stretch
  having count(*) filter (where inside and not error) > 0;
