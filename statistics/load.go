package statistics

import (
	"fmt"
	"strings"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/schemas"
)

// arrival is a tenant's day that is to take the place of what is there of it.
type arrival struct {
	tenant schemas.Tenant
	period schemas.Period
	day    schemas.Day
	digest string
	tiers  accounting.Tiers
	files  []string // of finished sessions, in the order of the report; none: the day is empty now
	rows   int64    // that they hold, or the day stays as it was
}

// statements put a day in: they remove its old rows, add the new ones, and what they add up to.
//
//   - Source: docs/formats.md, "Finished sessions", for the columns of the files.
func (a *arrival) statements() []statement {
	tenant, day := string(a.tenant), a.day.String()
	var out []statement
	do := func(text string, args ...any) { out = append(out, statement{text, args}) }
	for _, table := range dayTables {
		do("DELETE FROM "+table+" WHERE tenant = ? AND day = ?::DATE", tenant, day)
	}
	do("DELETE FROM days WHERE tenant = ? AND day = ?::DATE", tenant, day)
	do("UPDATE months SET counted = false WHERE tenant = ? AND period = ? AND counted", tenant, a.period.String())
	if len(a.files) > 0 {
		do("CREATE OR REPLACE TEMP TABLE incoming AS "+a.incoming(), tenant, day, int64(a.day)<<32, tenant, tenant, tenant, tenant)
		do(insertSessions)
		do(insertMoves)
		do(insertStreams)
		do(insertServers)
		do(insertDevices())
		do(insertProtocols)
		do(insertPlaces)
		do("INSERT INTO days SELECT ?, ?, ?::DATE, ?, count(*) FROM incoming", tenant, a.period.String(), day, a.digest)
		do("DROP TABLE incoming")
	} else if a.digest != "" {
		do("INSERT INTO days VALUES (?, ?, ?::DATE, ?, 0)", tenant, a.period.String(), day, a.digest)
	}
	do("SELECT CASE WHEN coalesce(sum(sessions), 0) = ? THEN '' ELSE error(?) END FROM days WHERE tenant = ? AND day = ?::DATE", a.rows,
		fmt.Sprintf("the commit names %d sessions, and its objects hold others", a.rows), tenant, day)
	return out
}

// incoming reads the files of a day, and derives what the tables have besides.
func (a *arrival) incoming() string {
	files := make([]string, len(a.files))
	for i, f := range a.files {
		files[i] = quoted(f)
	}
	user := "coalesce(nullif(user_id, ''), nullif(auth_identity, ''), nullif(auth_addr, ''), auth_email)"
	return `SELECT ?::VARCHAR AS tenant, ?::DATE AS day, ?::BIGINT + row_number() OVER (ORDER BY filename, file_row_number) - 1 AS nth,
			make_timestamp(epoch_us("start")) AS started, make_timestamp(epoch_us("end")) AS ended, begun, live, reported, session_id, object_id,
			cut(version_hash) AS version_hash, cut(title) AS title, cut(ip_title_id) AS ip_title_id, CASE WHEN title <> '' THEN cut(title) ELSE object_id END AS stream,
			cut(offering) AS offering, cut(playout_format) AS playout_format, cut(protocol) AS protocol,
			node_id AS server, cut(node_host) AS hostname, cut(node_ip) AS server_ip, cut(node_region) AS server_region,
			cut(client_ip) AS ip, address_high(client_ip) AS ip_high, address_low(client_ip) AS ip_low,
			cut(client_country) AS country, cut(client_region) AS region, cut(client_city) AS city, cut(` + user + `) AS user_name,
			cut(user_id) AS user_id, cut(auth_identity) AS auth_identity, cut(auth_addr) AS auth_addr, cut(auth_email) AS auth_email, cut(token_sha256) AS token_sha256,
			cut(user_agent) AS user_agent, platform, os, cut(device) AS device, cut(referrer) AS referrer,
			CASE WHEN ` + user + ` <> '' THEN ` + together("?::VARCHAR", "'user'", user) + ` ELSE ` + together("?::VARCHAR", "'address'", "client_ip", "user_agent") + ` END AS viewer,
			` + together("object_id", "client_ip", "protocol", user, "referrer", "user_agent") + ` AS likeness,
			bytes, watched_us AS view_us, audio_us, requests, errors, duration_us, pct_watched_hundredths,
			` + a.splits() + `,
			NOT (len(shares) = 0 OR len(shares) = 1 AND shares[1].node_id = node_id AND shares[1].bytes = bytes AND shares[1].us = watched_us) AS moved, shares
		FROM (SELECT *, [{'node_id': n.node_id, 'bytes': n.bytes, 'us': CASE WHEN has_video THEN n.video_us ELSE n.audio_us END} FOR n IN nodes] AS shares
			FROM read_parquet([` + strings.Join(files, ", ") + `], filename = true, file_row_number = true))`
}

// together is a number for several texts that no other texts have, whatever is in them: each is preceded by its length.
func together(texts ...string) string {
	for i, text := range texts {
		texts[i] = "strlen(" + text + "), ':', " + text
	}
	return "md5_number(concat(" + strings.Join(texts, ", ") + "))::UHUGEINT"
}

// splits are the expressions of the columns of that name: the view time of a session's renditions by tier and clear or
// DRM. The audio of a session with video is no view time.
func (a *arrival) splits() string {
	t := a.tiers
	known := "least(r.width, r.height) > 0"
	hi := fmt.Sprintf("(greatest(r.width, r.height) >= %d OR least(r.width, r.height) >= %d)", t.Hi.Long, t.Hi.Short)
	md := fmt.Sprintf("(greatest(r.width, r.height) >= %d OR least(r.width, r.height) >= %d)", t.Md.Long, t.Md.Short)
	tiers := []string{known + " AND " + hi, known + " AND NOT " + hi + " AND " + md, known + " AND NOT " + hi + " AND NOT " + md, "NOT " + known}
	var out []string
	add := func(condition string) {
		out = append(out, fmt.Sprintf("least(coalesce(list_sum([r.us FOR r IN renditions IF %s]), 0), 9223372036854775807)::BIGINT AS %s", condition, splits[len(out)]))
	}
	for _, tier := range tiers {
		for _, drm := range []string{"NOT r.drm", "r.drm"} {
			add("has_video AND NOT r.audio AND " + drm + " AND " + tier)
		}
	}
	for _, drm := range []string{"NOT r.drm", "r.drm"} {
		add("NOT has_video AND r.audio AND " + drm)
	}
	return strings.Join(out, ",\n\t\t\t")
}

// The sessions of a day that have the address, object, protocol, user, referrer and user agent in common have one likeness;
// the first of them, whose nth is alike, knows what they add up to.
const (
	insertSessions = `INSERT INTO sessions BY NAME
		SELECT i.* EXCLUDE (shares, likeness), a.alike, CASE WHEN i.nth = a.alike THEN a.n ELSE 0 END AS alike_sessions,
			CASE WHEN i.nth = a.alike THEN a.b ELSE 0 END AS alike_bytes, CASE WHEN i.nth = a.alike THEN a.v ELSE 0 END AS alike_view_us
		FROM incoming i JOIN (SELECT likeness, min(nth) AS alike, count(*) AS n, total(bytes) AS b, total(view_us) AS v FROM incoming GROUP BY likeness) a USING (likeness)
		ORDER BY i.nth`

	insertMoves = `INSERT INTO moves SELECT tenant, day, nth, n.node_id, n.bytes, n.us
		FROM (SELECT tenant, day, nth, unnest(shares) AS n FROM incoming WHERE moved) ORDER BY nth`

	sums = "count(*), count(*) FILTER (begun AND view_us > 0), total(bytes), total(view_us)"

	insertStreams = `INSERT INTO day_streams SELECT tenant, day, object_id, arg_max(stream, nth), ` + sums + ` FROM incoming GROUP BY ALL ORDER BY object_id`

	insertServers = `INSERT INTO day_servers
		SELECT tenant, day, server, coalesce(arg_max(hostname, nth), ''), coalesce(arg_max(server_ip, nth), ''), count(*) FILTER (counts),
			count(*) FILTER (counts AND begun AND view_us > 0), total(CASE WHEN counts THEN bytes ELSE 0 END), total(CASE WHEN counts THEN view_us ELSE 0 END)
		FROM (SELECT tenant, day, nth, server, nullif(hostname, '') AS hostname, nullif(server_ip, '') AS server_ip, begun, bytes, view_us, NOT moved AS counts FROM incoming
			UNION ALL
			SELECT tenant, day, nth, n.node_id, NULL, NULL, begun, n.bytes, n.us, true FROM (SELECT tenant, day, nth, begun, unnest(shares) AS n FROM incoming WHERE moved))
		GROUP BY ALL ORDER BY server`

	insertProtocols = `INSERT INTO day_protocols SELECT tenant, day, protocol, ` + sums + ` FROM incoming GROUP BY ALL ORDER BY protocol`

	insertPlaces = `INSERT INTO day_places SELECT tenant, day, country, region, city, server_region, ` + sums + ` FROM incoming GROUP BY ALL ORDER BY ALL`
)

func insertDevices() string {
	text := "INSERT INTO day_devices SELECT tenant, day, platform, os, " + sums
	for _, name := range splits {
		text += ", total(" + name + ")"
	}
	return text + " FROM incoming GROUP BY ALL ORDER BY ALL"
}
