-- Rows of the two reports: every cell a text, guarded, in order.

create or replace temp view ingest_header as
  select name from ingest_columns order by part, sort, place;

-- The cells of ingest_header for each row.
create or replace temp table ingest_cells as
  with amounts as (
    select false as tenancy, object_id, part, sort, density, sum(us) as us from ingested group by all
    union all
    select true, getvariable('tenant'), part, sort, density, sum(us) from ingested group by all)
  select t.tenancy, t.object_id, list(seconds(coalesce(a.us, 0)) order by c.part, c.sort, c.place) as cells
  from totals t cross join ingest_columns c
  left join amounts a on a.tenancy = t.tenancy and a.object_id = t.object_id and a.part = c.part and a.sort = c.sort and a.density = c.density
  group by all;

create or replace temp view usage_rows as
  with formats as (
    select object_id, list_filter(list_transform(coalesce(mezzanine_playout_formats, []), lambda x: trim(x)), lambda x: x <> '') as formats from facts)
  select
    id_text(t.object_id) as "object_id",
    id_text(f.library_id) as "info.library_id",
    free_text(f.ip_title_id) as "info.ip_title_id",
    case when t.tenancy then free_text(getvariable('tenant_name')) else free_text(f.object_name) end as "info.object_name",
    free_text(f.title) as "info.title",
    free_text(f.title_type) as "info.title_type",
    free_text(f.asset_type) as "info.asset_type",
    t.storage::varchar as "storage",
    ['inactive', 'poked', 'active'][t.active + 1] as "info.active",
    seconds(t.audio_clear) as "usage.playout.audio_clear_sec",
    seconds(t.audio_drm) as "usage.playout.audio_drm_sec",
    seconds(t.hi_clear) as "usage.playout.video_hi_clear_sec",
    seconds(t.hi_drm) as "usage.playout.video_hi_drm_sec",
    seconds(t.md_clear) as "usage.playout.video_md_clear_sec",
    seconds(t.md_drm) as "usage.playout.video_md_drm_sec",
    seconds(t.lo_clear) as "usage.playout.video_lo_clear_sec",
    seconds(t.lo_drm) as "usage.playout.video_lo_drm_sec",
    '' as "info.master",
    id_text(f.master_audio_codec) as "info.master.codec.audio",
    id_text(f.master_video_codec) as "info.master.codec.video",
    coalesce(seconds(f.master_duration_us), '') as "info.master.duration",
    id_text(f.master_resolution) as "info.master.resolution",
    '' as "info.mezzanine",
    id_text(f.mezzanine_audio_codec) as "info.mezzanine.codec.audio",
    id_text(f.mezzanine_video_codec) as "info.mezzanine.codec.video",
    coalesce(seconds(f.mezzanine_duration_us), '') as "info.mezzanine.duration",
    list_transform(coalesce(m.formats, []), lambda x: id_text(x)) as "info.mezzanine.playout_formats",
    t.download_bytes::varchar as "usage.data_download.bytes",
    t.downloads::varchar as "usage.data_download.occurrences",
    t.error_bytes::varchar as "usage.error.bytes",
    t.errors::varchar as "usage.error.occurrences",
    coalesce(i.cells, []) as "usage.ingest",
    t.ingests::varchar as "usage.ingest.occurrences",
    t.media_bytes::varchar as "usage.media.bytes",
    t.medias::varchar as "usage.media.occurrences",
    hours(t.audio_clear + t.audio_drm) as "usage.playout.audio_total_hrs",
    t.bytes::varchar as "usage.playout.bytes",
    t.occurrences::varchar as "usage.playout.occurrences",
    hours(t.hi_clear + t.hi_drm + t.md_clear + t.md_drm + t.lo_clear + t.lo_drm + t.un_clear + t.un_drm) as "usage.playout.video_total_hrs",
    t.public_bytes::varchar as "usage.public_download.bytes",
    t.publics::varchar as "usage.public_download.occurrences",
    t.updates::varchar as "usage.updated",
    seconds(t.un_clear) as "usage.playout.video_unclassified_clear_sec",
    seconds(t.un_drm) as "usage.playout.video_unclassified_drm_sec",
    t.rep_bytes::varchar as "usage.rep.bytes",
    t.reps::varchar as "usage.rep.occurrences",
    seconds(t.ingest_unclassified) as "usage.ingest.density_unclassified_sec",
    byte_hours(t.byte_seconds) as "storage.byte_hours",
    t.views::varchar as "usage.playout.views",
    t.server_bytes::varchar as "usage.error.server_bytes",
    t.server_errors::varchar as "usage.error.server_occurrences",
    case when t.tenancy then 'tenancy' else 'object' end as "row"
  from totals t
  left join facts f on not t.tenancy and f.object_id = t.object_id
  left join formats m on not t.tenancy and m.object_id = t.object_id
  left join ingest_cells i on i.tenancy = t.tenancy and i.object_id = t.object_id
  order by t.tenancy desc, t.object_id;

-- How much of the content was seen, in hundredths of a percent; null where that cannot be said. Segments of the content are the catalog's, else
-- its duration by the longest segment, rounded up; of audio the catalog knows none.
create or replace temp view watched as
  select s.*, f.ip_title_id, coalesce(nullif(f.title, ''), f.object_name, '') as title,
    case when not s.live then nullif(f.mezzanine_duration_us, 0) end as duration_us,
    case when has_video then coalesce(nullif(f.video_segments, 0), (f.mezzanine_duration_us + longest_video_us - 1) // nullif(longest_video_us, 0))
         else (f.mezzanine_duration_us + longest_audio_us - 1) // nullif(longest_audio_us, 0) end as content_segments,
    nullif(case when has_video then s.video_segments else s.audio_segments end, 0) as seen_segments,
    case when duration_us is not null and seen_segments is not null and content_segments is not null
         then least(seen_segments * 10000 // content_segments, 10000) end as pct -- least() would ignore a null
  from sessions s left join facts f using (object_id);

create or replace temp view session_rows as
  select
    id_text(w.auth_identity) as "auth_identity",
    id_text(w.auth_addr) as "auth_addr",
    free_text(w.auth_email) as "auth_email",
    id_text(w.client_ip) as "client_ip",
    id_text(w.node_region) as "client_location",
    free_text(case when local then w.client_city else p.city end) as "client_city",
    id_text(case when p.client_ip is null then w.client_country else p.country end) as "client_country",
    free_text(case when local then w.client_region else p.region end) as "client_region",
    id_text(a.platform) as "platform",
    id_text(a.os) as "OS",
    free_text(w.referrer) as "referrer",
    id_text(w.version_hash) as "id",
    free_text(w.ip_title_id) as "ip_title_id",
    free_text(w.title) as "title",
    strftime(epoch_ms(w.start_ns // 1000000), '%Y-%m-%d') as "view_date",
    strftime(epoch_ms(w.start_ns // 1000000), '%H:%M:%S.%gZ') as "view_start",
    coalesce(seconds(w.duration_us), '') as "duration_secs",
    seconds(w.watched_us) as "watched_secs",
    coalesce(hundredths(w.pct), '') as "pct_watched",
    id_text(w.session_id) as "session_id",
    id_text(w.object_id) as "object_id",
    id_text(w.offering) as "offering",
    id_text(w.playout_format) as "playout_format",
    id_text(w.protocol) as "protocol",
    id_text(w.user_id) as "user_id",
    free_text(w.user_agent) as "user_agent",
    w.bytes::varchar as "bytes",
    seconds(w.audio_us) as "audio_secs",
    w.requests::varchar as "requests",
    w.errors::varchar as "errors",
    strftime(epoch_ms(w.end_ns // 1000000), '%Y-%m-%dT%H:%M:%S.%gZ') as "view_end",
    id_text(w.node_id) as "node_id",
    id_text(w.node_host) as "node_host",
    id_text(w.node_ip) as "node_ip",
    id_text(a.device) as "device"
  from watched w
  left join agents a on a.user_agent = w.user_agent and w.user_agent <> ''
  left join places p on p.client_ip = w.client_ip,
  -- No hit, or one that knows the country only, and the node agrees on it: the node's region and city (R9).
  lateral (select p.client_ip is null or (p.region = '' and p.city = '' and p.country = w.client_country) as local)
  order by w.start_ns, w.session_id, w.object_id;

-- How many rows there are of each class, in the files of the run. The first class that applies counts.
create or replace temp view classes as
  with judged as (
    select case
      when reason is not null then 'rejected/' || reason
      when t < getvariable('start_ns') or t >= getvariable('end_ns') then 'outside_period'
      when t >= getvariable('bound_ns') then 'after_as_of'
      when copy then 'duplicates'
      when error then 'errors'
      else 'counted/' || kind end as class
    from run_rows),
  counts as (select class, count(*) as n from judged group by class)
  -- Of the records that are left, those that do not stand are superseded.
  select 'read' as class, count(*) as n from judged
  union all select class, n from counts where class <> 'counted/session'
  union all select 'counted/session', count(*) from standing
  union all select 'superseded', (select coalesce(sum(n), 0) from counts where class = 'counted/session') - (select count(*) from standing);
