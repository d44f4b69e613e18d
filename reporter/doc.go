// Package reporter makes the reports: it keeps the tallies of the usage bucket
// up to date, folds a tenant's month, writes the sealed reports and makes them
// current, by command and on a schedule.
//
// Follow one run ([Reporter.Run]):
//
//   - run.go plans: it lists the usage bucket and the packs (packs.go), and tally.go counts
//     the files that have no tally yet. wanted.go decides which objects count, copies.go lays their sets
//     side by side, hour by hour (ledger.go keeps what was found), and files with copies of rows that count
//     elsewhere are counted again without them.
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
//   - history.go decides which old runs keep their reports and removes what crashed runs left; compact.go merges
//     packs and sweeps those that nothing needs.
//
// Who gets what: tenants.go (who they are now, and which keys have expired), grants.go and grants_prove.go (readers
// at the object store), published.go (what is there to be handed out), rekey.go (final months for other keys). What
// of viewers is left out, and when what is kept of them goes: privacy.go, forget.go.
//
// A month that is final stays: what changes afterwards is a restatement (restate.go; restatable.go finds
// which months are due). To prove a number: verify.go checks signatures, chain and digests,
// verify_recompute.go counts a run again, past.go opens one again for diff.go and explain.go.
package reporter
