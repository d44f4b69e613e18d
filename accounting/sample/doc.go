// Package sample invents a month of streaming: three tenants, their catalogs,
// the nodes that serve them and the people who watch. It is what `playmeter
// demo` shows and what tests and benchmarks feed on.
//
// A month is made hour by hour. Sessions are begun in the hour in which their
// viewers press play, their requests are sorted into the hours in which they
// are served, and an hour is handed out, node by node, once every session that
// can reach it has begun. So memory holds some hours, never a month.
//
// Everything follows from the period and the seed: the same two give the same
// month again. All names, addresses and people are
// invented; addresses are of the ranges for documentation (RFC 5737, RFC
// 3849), domains of those for examples (RFC 2606).
package sample
