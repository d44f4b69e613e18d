-- The tables that files are loaded into, and the functions that read and write values.

set TimeZone = 'UTC';
set preserve_insertion_order = true;
set temp_directory = ''; -- nothing is spilled to disk

-- One line per row of a usage file. Texts are never null; times are Unix nanoseconds; flags are 0 or 1.
create table raw (
  file integer, line bigint, -- files are numbered in the order of their keys
  node_id varchar, event_id varchar, tenant_id varchar, kind varchar, object_id varchar, library_id varchar,
  version_hash varchar, session_id varchar, offering varchar, playout_format varchar, protocol varchar, track varchar,
  codec varchar, source_codec varchar, client_ip varchar, user_agent varchar, referrer varchar, auth_identity varchar,
  auth_addr varchar, auth_email varchar, user_id varchar, token varchar, node_host varchar, node_ip varchar,
  node_region varchar, client_country varchar, client_region varchar, client_city varchar,
  seq bigint, bytes bigint, status bigint, width bigint, height bigint, segment bigint,
  duration_us bigint, source_width bigint, source_height bigint, drm bigint, live bigint, "time" bigint,
  opened_at bigint, closed_at bigint,
  bad boolean -- a value did not convert
);

create table catalog (
  tenant varchar, at_s bigint, line bigint, object_id varchar,
  library_id varchar, object_name varchar, ip_title_id varchar, title varchar, title_type varchar, asset_type varchar,
  master_audio_codec varchar, master_video_codec varchar, master_resolution varchar, mezzanine_audio_codec varchar, mezzanine_video_codec varchar,
  storage_bytes bigint, master_duration_us bigint, mezzanine_duration_us bigint, video_segments bigint, mezzanine_playout_formats varchar[]
);

create table hashes (version_hash varchar, object_id varchar);
create table agents (user_agent varchar, platform varchar, os varchar, device varchar);
create table places (client_ip varchar, country varchar, region varchar, city varchar);

-- An instant of text: RFC 3339, or whole Unix milliseconds. A second of 60 is the last nanosecond of its minute.
create macro instant(s) as case
  when regexp_full_match(s, '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})') then
    epoch_ns(try_cast(case when s[18:19] = '60' then regexp_replace(s, ':60([.][0-9]+)?([Zz+-])', ':59.999999999\2') else s end as timestamp_ns))
  when regexp_full_match(s, '-?[0-9]+') then try_cast(try_cast(s as hugeint) * 1000000 as bigint)
  end;

-- Exact decimals without trailing zeros, of a number of millionths or hundredths.
create macro millionths(n) as rtrim(rtrim((n // 1000000)::varchar || '.' || lpad((n % 1000000)::varchar, 6, '0'), '0'), '.');
create macro hundredths(n) as rtrim(rtrim((n // 100)::varchar || '.' || lpad((n % 100)::varchar, 2, '0'), '0'), '.');
create macro seconds(us) as millionths(us);
create macro hours(us) as millionths((us + 1800) // 3600); -- half away from zero: sums are never negative
create macro byte_hours(byte_seconds) as millionths((byte_seconds * 5000 + 9) // 18); -- n * 10^6 / 3600, rounded

-- SHA-256 over fields, each behind its length in bytes as an unsigned varint (R7).
create macro uvarint(n) as case
  when n < 128 then from_hex(printf('%02x', n))
  when n < 16384 then from_hex(printf('%02x%02x', n % 128 + 128, n // 128))
  else from_hex(printf('%02x%02x%02x', n % 128 + 128, n // 128 % 128 + 128, n // 16384))
  end;
create macro field(s) as uvarint(strlen(s)) || encode(s);

-- A codec in the name of a column (R23).
create macro codec_name(c) as case
  when c = '' then 'unknown' when regexp_full_match(lower(c), '[a-z0-9._-]{1,32}') then lower(c) else 'other' end;

-- A cell that a spreadsheet must not run: free text, or an id (R16).
create macro free_text(s) as case when getvariable('guard') and left(s, 1) in ('=', '+', '-', '@', chr(9), chr(13)) then '''' || s else coalesce(s, '') end;
create macro id_text(s) as case when getvariable('guard') and left(s, 1) in ('=', '@', chr(9), chr(13)) then '''' || s else coalesce(s, '') end;

-- A referrer without the parameters that carry secrets (R17).
create macro is_secret(parameter) as lower(url_decode(string_split(parameter, '=')[1]))
  in ('token', 'access_token', 'authorization', 'auth', 'sig', 'signature', 'key', 'password');
create macro without_secrets(s) as
  regexp_extract(s, '^[^?#]*', 0, 's')
  || case when array_to_string(list_filter(string_split(regexp_extract(s, '^[^?#]*[?]([^#]*)', 1), '&'), lambda p: not is_secret(p)), '&') = '' then ''
     else '?' || array_to_string(list_filter(string_split(regexp_extract(s, '^[^?#]*[?]([^#]*)', 1), '&'), lambda p: not is_secret(p)), '&') end
  || regexp_extract(s, '#.*$', 0, 's');
