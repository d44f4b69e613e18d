package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// PackBytes compresses an object of ours (zstd).
func PackBytes(raw []byte) []byte { return compressZstd(raw) }

// UnpackBytes is the inverse; what unpacks to more than limit bytes is refused.
func UnpackBytes(packed []byte, limit int64) ([]byte, error) {
	raw, err := decompressZstd(packed, limit)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return raw, nil
}

// maxInputs bounds an unpacked list of inputs.
const maxInputs = 1 << 30

// ParseInputs reads a packed list of inputs, one JSON object a line.
func ParseInputs(packed []byte) ([]Input, error) {
	raw, err := UnpackBytes(packed, maxInputs)
	if err != nil {
		return nil, fmt.Errorf("list of inputs: %w", err)
	}
	var out []Input
	for line := range bytes.Lines(raw) {
		var in Input
		if err := json.Unmarshal(line, &in); err != nil {
			return nil, fmt.Errorf("list of inputs: %w: %v", ErrDamaged, err)
		}
		out = append(out, in)
	}
	return out, nil
}
