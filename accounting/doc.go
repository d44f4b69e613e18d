// Package accounting is the arithmetic of Playmeter: usage events become
// tallies, tallies become a tenant's statement. It is pure: no clock, no
// network, no goroutine that it does not join; the same input gives the same
// bytes, whatever the order of files or the number of workers.
//
// Follow one event:
//
//   - [Tally] reads a usage file batch by batch. Every row passes the checks
//     of check.go in the order of SPEC 8 and 2.1; what stands goes into a cell
//     (cells.go: additive figures per tenant, object and hour), a fragment of a session (fragments.go)
//     and the set of its node's sequence numbers (sets.go).
//   - A [PackBuilder] collects the tallies of many files, sorts their rows and
//     writes them as one object.
//   - [Sums] folds the rows of a period into figures per object, [Joiner] joins
//     fragments into sessions, and both make a statement.
//   - A [Finisher] looks up what a session shows besides, and a [Masker] leaves out of viewers'
//     data what the rules say (finish.go, privacy.go).
//
// All sums are integers: bytes, requests, microseconds.
package accounting
