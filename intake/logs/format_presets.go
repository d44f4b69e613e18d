package logs

import "maps"

// presets are the formats that need no configuration.
var presets = []Format{
	{Name: "nginx", Lines: LinesNDJSON, Fields: map[Column]string{
		"time": "msec|time", "node_id": "server", "node_host": "server", "host": "host", "client_ip": "remote_addr", "method": "method",
		"url": "uri", "status": "status", "bytes": "bytes", "range": "range", "referrer": "referer", "user_agent": "user_agent",
		"event_id": "request_id", "cmcd_object": "cmcd_object", "cmcd_request": "cmcd_request",
		"cmcd_session": "cmcd_session", "cmcd_status": "cmcd_status",
	}, None: "-"},
	{Name: "cloudfront", Lines: LinesW3C, Fields: cloudFront, Encoded: true, None: "-"},
	{Name: "cloudfront-json", Lines: LinesNDJSON, Fields: cloudFront, Encoded: true, None: "-"},
	{Name: "cloudfront-parquet", Lines: LinesParquet, Fields: cloudFront, Encoded: true, None: "-"},
	{Name: "ndjson", Lines: LinesNDJSON, Fields: ownNames()},
}

// cloudFront are the fields of CloudFront's standard logs, whatever their version and packing. Their
// Parquet writes _ for what is neither letter nor digit; fields are found by either name. The
// cmcd-… fields are those of its real-time logs.
var cloudFront = map[Column]string{
	"time": "timestamp(ms)|timestamp|time", "date": "date", "node_id": "x-edge-location", "bytes": "sc-bytes", "client_ip": "c-ip",
	"method": "cs-method", "host": "x-host-header|cs(Host)|cs-host", "path": "cs-uri-stem", "status": "sc-status", "referrer": "cs(Referer)|cs-referer",
	"user_agent": "cs(User-Agent)|cs-user-agent", "query": "cs-uri-query", "event_id": "x-edge-request-id",
	"range_start": "sc-range-start", "range_end": "sc-range-end", "client_country": "c-country",
	"cmcd_sid": "cmcd-session-id", "cmcd_cid": "cmcd-content-id", "cmcd_ot": "cmcd-object-type", "cmcd_d": "cmcd-object-duration",
	"cmcd_br": "cmcd-encoded-bitrate", "cmcd_sf": "cmcd-streaming-format", "cmcd_st": "cmcd-stream-type",
}

// ownNames are fields that are called as the columns are.
func ownNames() map[Column]string {
	m := make(map[Column]string, len(columnNames))
	for _, c := range columnNames {
		m[c] = string(c)
	}
	return m
}

// Presets lists the names of the formats that need no configuration.
func Presets() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.Name
	}
	return names
}

// Preset is a copy of the preset of a name.
func Preset(name string) (Format, bool) {
	for _, p := range presets {
		if p.Name == name {
			p.Fields = maps.Clone(p.Fields)
			return p, true
		}
	}
	return Format{}, false
}
