package schemas

import (
	"fmt"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
)

// EncodeRowSet writes a set of row numbers as a 64-bit roaring bitmap; nothing for none.
func EncodeRowSet(rows *roaring64.Bitmap) ([]byte, error) {
	if rows == nil || rows.IsEmpty() {
		return nil, nil
	}
	rows.RunOptimize()
	return rows.ToBytes()
}

// ParseRowSet reads what EncodeRowSet wrote; nil where there is none. Errors: ErrDamaged.
func ParseRowSet(stored []byte) (*roaring64.Bitmap, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	rows := roaring64.New()
	if err := rows.UnmarshalBinary(stored); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	return rows, nil
}
