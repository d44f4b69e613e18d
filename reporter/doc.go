// Package reporter makes the reports: it keeps the tallies of the usage bucket
// up to date, folds a tenant's month, writes the sealed reports and makes them
// current, by command and on a schedule.
//
// Follow one run ([Reporter.Run]):
//
//   - run.go plans: it lists the usage bucket and the packs (packs.go), and tally.go counts
//     the files that have no tally yet.
//   - A lease (lease.go) keeps two processes from doing the same work; it fences
//     nothing.
//   - inputs.go pins the tallies of the month, fold.go folds them into a
//     statement and sessions, sort.go and sessions.go put the sessions in order
//     and store them by day.
//   - report.go streams CSV, compression, seal and upload; no plaintext touches a
//     disk.
//   - commit.go makes the run current with one create-only object; publish.go
//     copies what the commit names to the stable names, and is where every run
//     begins, so that the ordinary run goes through the recovery.
package reporter
