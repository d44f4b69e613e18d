// Package enrichment looks facts up that a usage event does not carry: what
// device a user agent is ([UserAgents]) and where an address is ([Geo]).
//
// Both are pure look-ups over tables passed in or built in: no clock, no
// network, no goroutines. What a result depends on has a name that goes into
// the manifest: [UserAgents.Digest] and [Geo.Name]. So a report can be
// made again, byte for byte, from the same tables.
package enrichment
