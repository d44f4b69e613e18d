// Package flussonic reads what Flussonic Media Servers report of their play sessions, and puts
// the sink that makes them report into a server.
//
// A server posts batches of events, one batch at a time; what is not answered with a 2xx status is posted
// again. [Decode] makes a usage event of kind "session" of each play event. The figures of a session are
// cumulative, and of its records the newest stands (SPEC 5.2), so what is posted twice, or out of order,
// changes nothing.
//
//   - object: media. node: server_id, else server, else the address that posted. node_host: server.
//   - session: session_id, else id; where neither is given, one made of who watched what and since when.
//   - time: the instant that the record speaks for. Of play_closed closed_at (or updated_at, if that is later), of
//     play_updated updated_at, of play_started started_at, of play_opened opened_at; else utc_ms, else
//     time, else what can be made of the opening and the duration.
//   - duration_us: duration; else closed_at, updated_at or time, minus opened_at.
//   - opened_at: opened_at; else the first eight hex digits of the session's id, where they fit.
//   - event_id: theirs; else the SHA-256 of the element's own bytes, so that an element sent again in another
//     batch is the same event.
//   - tenant, size and DRM: the stream [Rules], and the tenant that the sender is bound to.
//   - user_id: user_id. auth_identity: user_name. The rest by its name; query_string is not kept.
//   - Names from before 21.03 are read, too: session_opened, session_closed, session_id, type, bytes_sent, created_at, deleted_at.
//
// Source: SPEC 12.1.
package flussonic
