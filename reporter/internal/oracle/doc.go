// Package oracle computes both reports a second time, in another way, so that
// tests can hold the product against it.
//
// It imports no other package of this module: its only sources are the contract
// and the numbered readings in docs/decisions.md, which the comments name as R1,
// R2 and so on. Generate writes a random month of usage files and catalog
// snapshots that visits every edge of the rules; Expect reads those files from
// disk and works the reports out with DuckDB, in integers only. The queries are
// in the sql folder, one step per file: tables, rows, events, sessions, records,
// facts, usage, sheets.
//
// Where neither the contract nor a reading decides, this is how it is taken here:
//
//   - An empty string in a number column is no value. A digit string with
//     anything else in it (a fraction, an exponent) does not convert.
//   - opened_at and closed_at are read as time is: timestamp, RFC 3339 or Unix ms.
//   - A second of 60 is the nanosecond before the next minute.
//   - A value that does not convert rejects a row of any kind, whichever column.
//   - The protocol that a format stands in for is taken per event, and referrers
//     are cleaned per event, before one value is chosen for the session.
//   - A rejected row is nobody's copy: the good row after it counts.
//   - An ingest that the client gave up (499) makes no column.
//   - Playout formats in one string are cut at commas; blanks around them and
//     empty ones go.
//   - An audio-only session never counts by the catalog's video segments.
//   - A reported session is live when its standing record says so.
//   - Sessions are in order of their exact start, not of the milliseconds shown.
//
// Some cases nobody has decided are never generated: copies of one event in
// two tenants, or in two files; records of equal figures that differ in
// other fields; records with status 499; floats in an integer column of Parquet.
package oracle
