package schemas

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// physical is how a column's values look in the file.
type physical struct {
	kind     parquet.Kind
	size     int // bytes of a value; 0 for byte arrays and booleans
	unsigned bool
	uuid     bool
	text     bool  // byte arrays, of fixed length or not
	unit     int64 // nanoseconds of a timestamp's tick; 0 for other types
}

// physicalOf reads the type of a column, and refuses what converts into
// nothing of ours.
func physicalOf(t parquet.Type) (physical, error) {
	p := physical{kind: t.Kind()}
	var logical any
	if lt := t.LogicalType(); lt != nil {
		logical = lt.Value
	}
	switch p.kind {
	case parquet.Boolean:
	case parquet.Int32, parquet.Int64:
		p.size = 4
		if p.kind == parquet.Int64 {
			p.size = 8
		}
		switch l := logical.(type) {
		case nil:
		case *format.IntType:
			p.unsigned = !l.IsSigned
		case *format.TimestampType:
			if p.unit = tick(l.Unit.Value); p.kind != parquet.Int64 || p.unit == 0 {
				return p, fmt.Errorf("is %s", t)
			}
		default:
			return p, fmt.Errorf("is %s", t)
		}
	case parquet.Int96:
		p.size, p.unit = 12, 1
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return textType(p, t, logical)
	default:
		return p, fmt.Errorf("is %s", t)
	}
	return p, nil
}

func textType(p physical, t parquet.Type, logical any) (physical, error) {
	p.text = true
	if p.kind == parquet.FixedLenByteArray {
		if p.size = t.Length(); p.size <= 0 {
			return p, errors.New("is a fixed-length array of no length")
		}
	}
	switch logical.(type) {
	case nil:
		if c := t.ConvertedType(); c != nil && (*c == deprecated.Interval || *c == deprecated.Decimal) {
			return p, fmt.Errorf("is %s", t)
		}
	case *format.StringType, *format.EnumType, *format.JsonType:
	case *format.UUIDType:
		if p.size != 16 {
			return p, fmt.Errorf("is %s of %d bytes", t, p.size)
		}
		p.uuid = true
	default:
		return p, fmt.Errorf("is %s", t)
	}
	return p, nil
}

func tick(unit any) int64 {
	switch unit.(type) {
	case *format.MilliSeconds:
		return 1e6
	case *format.MicroSeconds:
		return 1e3
	case *format.NanoSeconds:
		return 1
	}
	return 0
}

// forText checks that the values can be texts.
func (p physical) forText() error {
	if p.unit != 0 {
		return errors.New("is a timestamp where a text is wanted")
	}
	return nil
}

// forNumber checks that the values can be the numbers, or the instants, that
// want describes.
func (p physical) forNumber(want wanted) error {
	switch {
	case want.time && (p.kind == parquet.Boolean || p.uuid):
		return errors.New("is no timestamp")
	case !want.time && p.unit != 0:
		return errors.New("is a timestamp where a whole number is wanted")
	case p.uuid:
		return errors.New("is a UUID where a whole number is wanted")
	}
	return nil
}
