package schemas

// Event is one usage event as it is written (SPEC 2). Reading goes through
// [Batch]es instead.
//
//   - Numbers and booleans that an event need not have are pointers; nil is "not given"
//     and is written as null. Write new(int64(200)).
//   - Times are Unix nanoseconds.
//   - Texts: empty is "not given" and is written as null, except for the four
//     that every event has.
type Event struct {
	NodeID  string `parquet:"node_id,dict"`
	Seq     *int64 `parquet:"seq,optional"`
	EventID string `parquet:"event_id,optional"`
	Time    int64  `parquet:"time,timestamp(nanosecond)"`

	TenantID    string `parquet:"tenant_id,dict"`
	Kind        string `parquet:"kind,dict"`
	ObjectID    string `parquet:"object_id,optional,dict"`
	LibraryID   string `parquet:"library_id,optional,dict"`
	VersionHash string `parquet:"version_hash,optional,dict"`

	Bytes  *int64 `parquet:"bytes,optional"`
	Status *int32 `parquet:"status,optional,dict"`

	SessionID      string `parquet:"session_id,optional,dict"`
	Offering       string `parquet:"offering,optional,dict"`
	PlayoutFormat  string `parquet:"playout_format,optional,dict"`
	Protocol       string `parquet:"protocol,optional,dict"`
	DRM            *bool  `parquet:"drm,optional"`
	Track          string `parquet:"track,optional,dict"`
	Codec          string `parquet:"codec,optional,dict"`
	Width          *int32 `parquet:"width,optional,dict"`
	Height         *int32 `parquet:"height,optional,dict"`
	Segment        *int32 `parquet:"segment,optional,dict"`
	DurationMicros *int64 `parquet:"duration_us,optional,dict"`

	SourceCodec  string `parquet:"source_codec,optional,dict"`
	SourceWidth  *int32 `parquet:"source_width,optional,dict"`
	SourceHeight *int32 `parquet:"source_height,optional,dict"`

	ClientIP     string `parquet:"client_ip,optional,dict"`
	UserAgent    string `parquet:"user_agent,optional,dict"`
	Referrer     string `parquet:"referrer,optional,dict"`
	AuthIdentity string `parquet:"auth_identity,optional,dict"`
	AuthAddr     string `parquet:"auth_addr,optional,dict"`
	AuthEmail    string `parquet:"auth_email,optional,dict"`
	UserID       string `parquet:"user_id,optional,dict"`
	Token        string `parquet:"token,optional,dict"`

	NodeHost      string `parquet:"node_host,optional,dict"`
	NodeIP        string `parquet:"node_ip,optional,dict"`
	NodeRegion    string `parquet:"node_region,optional,dict"`
	ClientCountry string `parquet:"client_country,optional,dict"`
	ClientRegion  string `parquet:"client_region,optional,dict"`
	ClientCity    string `parquet:"client_city,optional,dict"`

	Live     *bool  `parquet:"live,optional"`
	OpenedAt *int64 `parquet:"opened_at,optional,timestamp(nanosecond)"`
	ClosedAt *int64 `parquet:"closed_at,optional,timestamp(nanosecond)"`
}
