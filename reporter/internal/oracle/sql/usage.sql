-- The numbers of each object, then of the tenancy. All sums are 128 bits wide.

-- Seconds of playout: each event's own, and what the period gets of reported sessions.
create or replace temp table playout as
  select object_id, bytes, us, media, protected, tier from events where kind = 'playout' and inside and not error
  union all
  select object_id, new_bytes, new_us, media, protected, tier from reported;

create or replace temp table playout_sums as
  select object_id, count(*) as occurrences, sum(bytes) as bytes,
    sum(us) filter (where media = 'audio' and not protected) as audio_clear,
    sum(us) filter (where media = 'audio' and protected) as audio_drm,
    sum(us) filter (where video and tier = 'hi' and not protected) as hi_clear,
    sum(us) filter (where video and tier = 'hi' and protected) as hi_drm,
    sum(us) filter (where video and tier = 'md' and not protected) as md_clear,
    sum(us) filter (where video and tier = 'md' and protected) as md_drm,
    sum(us) filter (where video and tier = 'lo' and not protected) as lo_clear,
    sum(us) filter (where video and tier = 'lo' and protected) as lo_drm,
    sum(us) filter (where video and tier = 'unclassified' and not protected) as un_clear,
    sum(us) filter (where video and tier = 'unclassified' and protected) as un_drm
  from (select *, media in ('video', 'muxed') as video from playout)
  group by object_id;

create or replace temp table other_sums as
  select object_id,
    sum(bytes) filter (where kind = 'data_download') as download_bytes, count(*) filter (where kind = 'data_download') as downloads,
    sum(bytes) filter (where kind = 'public_download') as public_bytes, count(*) filter (where kind = 'public_download') as publics,
    sum(bytes) filter (where kind = 'media') as media_bytes, count(*) filter (where kind = 'media') as medias,
    sum(bytes) filter (where kind = 'rep') as rep_bytes, count(*) filter (where kind = 'rep') as reps,
    count(*) filter (where kind = 'ingest') as ingests, count(*) filter (where kind = 'update') as updates,
    sum(us) filter (where kind = 'ingest' and media in ('video', 'muxed') and density = 'unclassified') as ingest_unclassified
  from events where inside and not error and kind not in ('playout', 'session')
  group by object_id;

create or replace temp table error_sums as
  select object_id, sum(bytes) as error_bytes, count(*) as errors,
    sum(bytes) filter (where server_error) as server_bytes, count(*) filter (where server_error) as server_errors
  from events where inside and error group by object_id;

create or replace temp table view_sums as
  select object_id, count(*) filter (where watched_us > 0 and not continued) as views from sessions group by object_id;

-- Columns of ingest that depend on the codecs seen: those of audio first, then a triple for each pair (R11). A request that the client gave up
-- adds nothing and makes no column.
create or replace temp table ingested as
  select object_id, 1 as part, codec as sort, '' as density, 'usage.ingest.audio_' || codec as name, us
  from events where kind = 'ingest' and inside and not error and not gone and media = 'audio'
  union all
  select object_id, 2, source_codec || ':' || codec, density, '', us
  from events where kind = 'ingest' and inside and not error and not gone and media in ('video', 'muxed') and density <> 'unclassified';

create or replace temp table ingest_columns as
  select part, sort, density, place, case when part = 1 then 'usage.ingest.audio_' || sort else 'usage.ingest.' || sort || '.density_' || word || '_sec' end as name
  from (select distinct part, sort from ingested)
  join (values (1, '', 1, ''), (2, 'hi', 1, 'large'), (2, 'md', 2, 'medium'), (2, 'lo', 3, 'small')) w(of_part, density, place, word) on of_part = part;

-- Every object that is a row, as numbers; a null is nothing counted.
create or replace temp table figures as
  select f.object_id, f.storage, f.byte_seconds, p.* exclude (object_id), o.* exclude (object_id), e.* exclude (object_id), coalesce(v.views, 0) as views,
    case when coalesce(p.occurrences, 0) + coalesce(o.downloads, 0) + coalesce(o.reps, 0) + coalesce(o.ingests, 0) + coalesce(o.medias, 0) + coalesce(o.updates, 0) > 0 then 2
         when coalesce(o.publics, 0) > 0 then 1 else 0 end as active
  from facts f left join playout_sums p using (object_id) left join other_sums o using (object_id) left join error_sums e using (object_id) left join view_sums v using (object_id);

create or replace temp table totals as
  select true as tenancy, getvariable('tenant') as object_id, coalesce(max(active), 0) as active, coalesce(sum(columns(* exclude (object_id, active))), 0)
  from figures
  union all by name
  select false as tenancy, object_id, active, coalesce(columns(* exclude (object_id, active)), 0)
  from figures;
