// Package schemas holds the nouns of Playmeter and how they look on disk.
//
// The words, from the bottom up:
//
//   - A usage event is one request that costs a tenant something. Usage files
//     (Parquet or NDJSON, SPEC 2) hold events; [OpenUsage] reads them as a
//     stream of [Batch]es, aligned columns of rows.
//   - A [Catalog] is a snapshot of what the platform knows of its objects.
//   - A tally is what one usage file adds up to: [SumRow]s, [Fragment]s of
//     sessions, [SetRow]s of sequence numbers. Tallies are stored many to a
//     pack, which a [PackIndex] describes.
//   - A [Session] is a finished viewing, joined from fragments.
//   - A [Manifest] is the record of one run, a [Commit] what makes it current.
//   - names.go makes every object name that Playmeter writes or reads.
//
// This package is the only one that knows Parquet. It does no arithmetic
// beyond exact sums ([Sum]) and no input or output beyond the readers and
// writers that it is handed.
package schemas
