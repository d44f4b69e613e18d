// Package logs turns access logs that people have into usage events.
//
// A [Format] says, as data, how a log is read: how it is cut into lines, which of its fields is which
// column, how its times are written, and what a URL says of object, rendition and segment. A [Reader]
// reads one log and yields a [schemas.Event] for every line that is usage. What a line counts:
//
//   - One line is one event of kind playout, unless the format says another kind. A line that is no
//     usage is skipped and counted by its reason; none is dropped in silence.
//   - Who and what: the session is CMCD's sid, the object what a URL pattern names, else CMCD's cid.
//   - Seconds: the length of the segment in its playlist, where playlists are at hand, else CMCD's d, which
//     is whole milliseconds. HEAD requests, answers 304 and errors have none, and no segment.
//   - Ranges: of several answers 206 for ranges of one segment, the one with its first byte has the seconds.
//   - The same line of the same log gives the same event id, whatever the log is called and however far it
//     has grown: a log that is imported again adds nothing.
//
// Memory is bounded whatever the size of the log, and the events of a log depend on its bytes, the format
// and the playlists alone.
//
// Sources: CTA-5004 (CMCD, versions 1 and 2), RFC 8216 (HLS), ISO/IEC 23009-1 (DASH), and the field names of
// nginx and CloudFront.
package logs
