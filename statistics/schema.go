package statistics

import "strconv"

// schemaVersion is that of the tables below. A database of another one is made again.
const schemaVersion = 5

// MaxText is how many characters the statistics keep of a text of a session.
const MaxText = 1024

// splits are the columns of view time by tier and clear or DRM, in microseconds: those of [Split], in its order.
var splits = []string{
	"hi_clear_us", "hi_drm_us", "md_clear_us", "md_drm_us", "lo_clear_us", "lo_drm_us",
	"unclassified_clear_us", "unclassified_drm_us", "audio_clear_us", "audio_drm_us",
}

// schema is the tables. Texts are empty where nothing is known, so that everything sorts and compares without NULL.
//
// A session is known by tenant and nth: the day (since 1970) times 2^32, and its place in the day's part of the
// report. So nth orders the sessions of a tenant as the report does.
var schema = []string{
	// What is beyond 2^63-1 is told as that: so a sum never wraps, and never keeps a page from being shown.
	`CREATE MACRO total(x) AS least(coalesce(sum(x), 0), 9223372036854775807)::BIGINT`,

	// Texts of viewers may have any length, and no use beyond this one: pages, and the cursors in their addresses, stay short.
	// What tells viewers apart is the whole text.
	`CREATE MACRO cut(x) AS left(x, ` + strconv.Itoa(MaxText) + `)`,

	`CREATE TABLE about (version INTEGER NOT NULL, made TIMESTAMP NOT NULL)`,

	// What was loaded: each day of a tenant's month with the digest of what it was made from.
	`CREATE TABLE months (tenant VARCHAR NOT NULL, period VARCHAR NOT NULL, "commit" BIGINT NOT NULL, run VARCHAR NOT NULL, as_of VARCHAR NOT NULL, restatement BIGINT NOT NULL,
		named BIGINT NOT NULL, sessions BIGINT NOT NULL, viewers BIGINT NOT NULL, counted BOOLEAN NOT NULL, loaded TIMESTAMP NOT NULL)`,
	`CREATE TABLE days (tenant VARCHAR NOT NULL, period VARCHAR NOT NULL, day DATE NOT NULL, digest VARCHAR NOT NULL, sessions BIGINT NOT NULL)`,

	`CREATE TABLE sessions (
		tenant VARCHAR NOT NULL, day DATE NOT NULL, nth BIGINT NOT NULL,
		started TIMESTAMP NOT NULL, ended TIMESTAMP NOT NULL,
		begun BOOLEAN NOT NULL, live BOOLEAN NOT NULL, reported BOOLEAN NOT NULL,
		session_id VARCHAR NOT NULL, object_id VARCHAR NOT NULL, version_hash VARCHAR NOT NULL,
		title VARCHAR NOT NULL, ip_title_id VARCHAR NOT NULL, stream VARCHAR NOT NULL,
		offering VARCHAR NOT NULL, playout_format VARCHAR NOT NULL, protocol VARCHAR NOT NULL,
		server VARCHAR NOT NULL, hostname VARCHAR NOT NULL, server_ip VARCHAR NOT NULL, server_region VARCHAR NOT NULL,
		ip VARCHAR NOT NULL, ip_high UBIGINT NOT NULL, ip_low UBIGINT NOT NULL,
		country VARCHAR NOT NULL, region VARCHAR NOT NULL, city VARCHAR NOT NULL,
		user_name VARCHAR NOT NULL, user_id VARCHAR NOT NULL, auth_identity VARCHAR NOT NULL, auth_addr VARCHAR NOT NULL, auth_email VARCHAR NOT NULL,
		token_sha256 VARCHAR NOT NULL, user_agent VARCHAR NOT NULL, platform VARCHAR NOT NULL, os VARCHAR NOT NULL, device VARCHAR NOT NULL,
		referrer VARCHAR NOT NULL, viewer UHUGEINT NOT NULL,
		bytes BIGINT NOT NULL, view_us BIGINT NOT NULL, audio_us BIGINT NOT NULL, requests BIGINT NOT NULL, errors BIGINT NOT NULL,
		duration_us BIGINT, pct_watched_hundredths BIGINT, ` + splitColumns() + `,
		moved BOOLEAN NOT NULL,
		alike BIGINT NOT NULL, alike_sessions BIGINT NOT NULL, alike_bytes BIGINT NOT NULL, alike_view_us BIGINT NOT NULL)`,

	// The shares of the servers in the sessions that one server did not serve alone.
	`CREATE TABLE moves (tenant VARCHAR NOT NULL, day DATE NOT NULL, nth BIGINT NOT NULL, server VARCHAR NOT NULL, bytes BIGINT NOT NULL, view_us BIGINT NOT NULL)`,

	// What the sessions of a viewer in a month add up to, and what the newest of them says, whose nth it is. months.counted tells
	// that they are those of the days as they are; where a day was replaced since, they are not.
	`CREATE TABLE month_viewers (tenant VARCHAR NOT NULL, period VARCHAR NOT NULL, viewer UHUGEINT NOT NULL, nth BIGINT NOT NULL, user_name VARCHAR NOT NULL,
		country VARCHAR NOT NULL, ip VARCHAR NOT NULL, ip_high UBIGINT NOT NULL, ip_low UBIGINT NOT NULL, user_agent VARCHAR NOT NULL, referrer VARCHAR NOT NULL, ` + sumColumns + `)`,

	// What the sessions of a day add up to.
	`CREATE TABLE day_streams (tenant VARCHAR NOT NULL, day DATE NOT NULL, object_id VARCHAR NOT NULL, stream VARCHAR NOT NULL, ` + sumColumns + `)`,
	`CREATE TABLE day_servers (tenant VARCHAR NOT NULL, day DATE NOT NULL, server VARCHAR NOT NULL, hostname VARCHAR NOT NULL, server_ip VARCHAR NOT NULL, ` + sumColumns + `)`,
	`CREATE TABLE day_devices (tenant VARCHAR NOT NULL, day DATE NOT NULL, platform VARCHAR NOT NULL, os VARCHAR NOT NULL, ` + sumColumns + `, ` + splitColumns() + `)`,
	`CREATE TABLE day_protocols (tenant VARCHAR NOT NULL, day DATE NOT NULL, protocol VARCHAR NOT NULL, ` + sumColumns + `)`,
	`CREATE TABLE day_places (tenant VARCHAR NOT NULL, day DATE NOT NULL, country VARCHAR NOT NULL, region VARCHAR NOT NULL, city VARCHAR NOT NULL,
		server_region VARCHAR NOT NULL, ` + sumColumns + `)`,
}

const sumColumns = "sessions BIGINT NOT NULL, views BIGINT NOT NULL, bytes BIGINT NOT NULL, view_us BIGINT NOT NULL"

// dayTables hold the rows of a day of a tenant.
var dayTables = []string{"sessions", "moves", "day_streams", "day_servers", "day_devices", "day_protocols", "day_places"}

func splitColumns() string {
	var text string
	for i, name := range splits {
		if i > 0 {
			text += ", "
		}
		text += name + " BIGINT NOT NULL"
	}
	return text
}
