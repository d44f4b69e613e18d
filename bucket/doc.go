// Package bucket keeps objects by name. It speaks S3 to any object store, and
// brings a small one along for installations that have none.
//
// The two halves:
//
//   - The client. [Dial] gives a [Store], [Store.Bucket] one of its buckets.
//     What the rest of the house needs of S3 is here and no more: list, read,
//     write, create once, copy, delete. Downloads are compared with the
//     checksum that the store keeps; uploads carry a digest that the store
//     compares. store.go, list.go, read.go, range.go and download.go, check.go,
//     write.go, writer.go, presign.go, policy.go.
//   - The embedded store. [OpenEmbedded] runs an S3 gateway over a folder
//     inside this process, [Open] uses the one of a running daemon when there
//     is one. An answer to a write means that the object is on the disk:
//     durable.go says how. embedded.go, open.go, credentials.go, accounts.go,
//     policies.go, policies_split.go, tls.go, lock.go, sweep.go.
//
// # Names
//
// A key is UTF-8, at most 1,024 bytes, elements separated by "/". What we write
// must also fit on a file system, because the embedded store keeps objects as
// files: no element is empty, ".", ".." or longer than 255 bytes, and no key is
// a path prefix of another ("a" and "a/b" cannot both exist there).
//
// # What a failure means
//
// A write that failed may have been stored: the answer may be what was lost.
// So data goes under names that are new per run, where "it exists" means
// "done", and whoever needs to know whether an object is his own writes a nonce
// into it and reads it back. See [Bucket.Create].
package bucket
