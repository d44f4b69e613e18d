// Package crypto keeps reports readable by those they were made for, and by
// nobody else, and shows who made them.
//
//   - [Seal] and [Open] encrypt and decrypt streams in the age v1 format, which
//     the stock age program reads and writes. seal.go
//   - [Recipient] is a public key that may read: age (X25519 or post-quantum) or
//     SSH (ed25519, rsa). recipient.go
//   - [Identities] are the private keys of a reader, from the files that
//     age-keygen and ssh-keygen write. identity.go
//   - [Signer] signs as "ssh-keygen -Y sign" does, [AllowedSigners] says whose
//     signatures are believed, [Keyring] is where an installation keeps both.
//     signature.go, signer.go, allowed.go, keyring.go
//   - [Readers] are the accounts of the embedded object store, [TokenStore] keeps the access
//     tokens of pages and API. readers.go, tokens.go and its neighbours, token.go, keyfiles.go
//   - [Pseudonyms] is the key that viewers' pseudonyms are made with. pseudonyms.go
//   - [Secret] is text that never prints itself. secret.go
//   - [Spool] is a temporary file that nobody but this process can read: what is
//     too large for memory goes there before it is sealed. spool.go
//
// # Sealing a report
//
// Seal gives a writer over the object; CSV rows go through the compressor into
// it, and Close writes the last chunk. Without Close the file is cut short, and
// Open says so: a truncated or altered file is an error, never a shorter report.
package crypto
