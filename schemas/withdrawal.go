package schemas

import "time"

// Withdrawal says that a usage object no longer counts (SPEC 6).
type Withdrawal struct {
	Key  string    `json:"key"`
	ETag string    `json:"etag"`
	At   time.Time `json:"at"`
}
