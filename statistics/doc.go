// Package statistics is the local database over finished sessions: loading and
// queries, nothing else. The pages ask it, never the run: what it holds is a view
// of the commits in the metering bucket, can be deleted, and is made again.
//
//   - database.go: a [Database] as the daemon holds it. The database itself runs in a
//     process of its own (process.go starts it, engine.go is it, wire.go is what the two say
//     to each other): when it crashes or meets its memory limit, metering goes on.
//   - sync.go, plan.go, load.go: the days whose objects changed with a commit are replaced, a
//     transaction each. schema.go has the tables.
//   - filter.go, scope.go: which sessions somebody asks for, and may.
//   - view.go, tabs.go, page.go, cursor.go: the five lists of sessions, by pages.
//     export.go: the same as CSV.
//   - dashboard.go: a month at a glance.
//   - sql.go: questions of administrators, in SQL.
//     docs/statistics.md explains tables and columns to them, and every figure to who looks at the pages.
//
// # How one day goes in
//
// A commit names the objects of each day's sessions. [Database.Sync] compares them with what it
// has loaded, fetches what is new into a private folder, and the engine reads it from there,
// removes the day's old rows, and adds the new ones with the day's sums, all in one transaction.
//
// # Words
//
// The view time of a session is what it watched (SPEC 5); a view is a session that began
// in the period and has view time; a viewer is a distinct user or, without one, a distinct
// address and user agent of one tenant (SPEC 1). The sums of a server are those of its own requests.
package statistics
