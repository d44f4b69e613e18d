package schemas

import "time"

// Withdrawal says that a usage object no longer counts (SPEC 6).
type Withdrawal struct {
	Key  string    `json:"key"`
	ETag string    `json:"etag"`
	At   time.Time `json:"at"`
}

// Return says that a usage object was put back under a key that had another in between: At is later than
// when that one was stored.
type Return struct {
	Key  string    `json:"key"`
	ETag string    `json:"etag"`
	At   time.Time `json:"at"`
}
