package reporter

import (
	"fmt"
	"testing"
)

func TestNearNames(t *testing.T) {
	names := []string{"info.title", "storage", "storage.byte_hours", "usage.playout.bytes", "usage.playout.views", "usage.rep.bytes"}
	tests := []struct{ word, want string }{
		{"storge", "[storage]"},
		{"storage", "[storage storage.byte_hours]"},
		{"rep.bytes", "[usage.rep.bytes]"},
		{"usage.playout.byte", "[usage.playout.bytes]"},
		{"usage.playout.bytes.of.yesterday", "[usage.playout.bytes]"},
		{"xyz", "[]"},
		{"", "[]"},
		{"byte", "[storage.byte_hours usage.playout.bytes usage.rep.bytes]"},
	}
	for _, tt := range tests {
		if got := fmt.Sprint(nearNames(tt.word, names, 3)); got != tt.want {
			t.Errorf("near %q are %s, want %s", tt.word, got, tt.want)
		}
	}
}
