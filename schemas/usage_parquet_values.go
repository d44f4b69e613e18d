package schemas

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// values are the values of a page, nulls left out, whatever their encoding:
// taken in order, as numbers or as texts.
type values struct {
	form physical

	data   []byte // values of a fixed size, or texts that follow their lengths
	longs  []int64
	texts  texts // of an encoding that shares or gathers lengths
	split  bool  // the texts are in texts
	bools  hybrid
	number []byte // memory of a number written as a text
	mix    []byte // memory of bytes put together again

	wide bool // the numbers are in longs
	bits bool // booleans as runs
	at   int  // how many were taken of longs, or of booleans as bits
}

var errValuesShort = errors.New("fewer values than the page claims")

// load prepares the values of a page, of which there are at most limit.
func (v *values) load(enc format.Encoding, data []byte, limit int) (err error) {
	v.data, v.at, v.split, v.wide, v.bits = data, 0, false, false, false
	kind := v.form.kind
	switch {
	case enc == format.Plain:
		return nil
	case enc == format.RLE && kind == parquet.Boolean:
		if len(data) < 4 {
			return errValuesShort
		}
		v.bits = true
		return v.bools.reset(data[4:], 1)
	case enc == format.DeltaBinaryPacked && (kind == parquet.Int32 || kind == parquet.Int64):
		v.wide = true
		v.longs, _, err = decodeDelta(v.longs, data, limit)
		return err
	case enc == format.DeltaLengthByteArray && kind == parquet.ByteArray:
		v.split = true
		return v.texts.decodeDeltaLengths(data, limit)
	case enc == format.DeltaByteArray && v.form.text:
		v.split = true
		return v.texts.decodeDeltaTexts(data, limit)
	case enc == format.ByteStreamSplit && v.form.size > 0:
		v.data, err = v.unsplit(data)
		return err
	}
	return fmt.Errorf("%s in %s encoding, which is not supported", kind, enc)
}

// unsplit undoes BYTE_STREAM_SPLIT: first bytes of all values, then second bytes.
func (v *values) unsplit(data []byte) ([]byte, error) {
	size := v.form.size
	n := len(data) / size
	if n*size != len(data) {
		return nil, errValuesShort
	}
	out := append(v.mix[:0], data...)
	v.mix = out
	for k := range size {
		for i, b := range data[k*n : (k+1)*n] {
			out[i*size+k] = b
		}
	}
	return out, nil
}

// ints takes the next len(dst) values of a type that is no text. An unsigned
// number beyond an int64 is badValue, an INT96 is Unix nanoseconds or None.
func (v *values) ints(dst []int64) error {
	switch v.form.kind {
	case parquet.Boolean:
		return v.flags(dst)
	case parquet.Int96:
		return v.int96s(dst)
	case parquet.Int32:
		return v.int32s(dst)
	}
	if err := v.int64s(dst); err != nil || !v.form.unsigned {
		return err
	}
	for i, x := range dst {
		if x < 0 {
			dst[i] = badValue
		}
	}
	return nil
}

func (v *values) int64s(dst []int64) error {
	if v.wide {
		n := copy(dst, v.longs[v.at:])
		if v.at += n; n < len(dst) {
			return errValuesShort
		}
		return nil
	}
	src := v.data
	if len(src) < 8*len(dst) {
		return errValuesShort
	}
	for i := range dst {
		dst[i] = int64(binary.LittleEndian.Uint64(src))
		src = src[8:]
	}
	v.data = src
	return nil
}

func (v *values) int32s(dst []int64) error {
	if v.wide {
		if err := v.int64s(dst); err != nil {
			return err
		}
		for i, x := range dst { // the sums of a 32-bit delta wrap at 32 bits
			dst[i] = v.extend(uint32(x))
		}
		return nil
	}
	src := v.data
	if len(src) < 4*len(dst) {
		return errValuesShort
	}
	for i := range dst {
		dst[i] = v.extend(binary.LittleEndian.Uint32(src))
		src = src[4:]
	}
	v.data = src
	return nil
}

func (v *values) extend(x uint32) int64 {
	if v.form.unsigned {
		return int64(x)
	}
	return int64(int32(x))
}

// int96s reads the nanoseconds of a day and the Julian day that old writers
// put together.
func (v *values) int96s(dst []int64) error {
	const day, epoch = 86400 * 1e9, 2440588
	if len(v.data) < 12*len(dst) {
		return errValuesShort
	}
	for i := range dst {
		nanos, julian := int64(binary.LittleEndian.Uint64(v.data)), int64(binary.LittleEndian.Uint32(v.data[8:]))
		v.data = v.data[12:]
		dst[i] = None
		if days := julian - epoch; days >= 0 && days <= Latest/day && nanos >= 0 && nanos <= day {
			dst[i] = instant(days*day+nanos, 1)
		}
	}
	return nil
}

func (v *values) flags(dst []int64) error {
	if !v.bits {
		if len(v.data)*8-v.at < len(dst) {
			return errValuesShort
		}
		for i := range dst {
			dst[i] = int64(v.data[v.at/8] >> (v.at % 8) & 1)
			v.at++
		}
		return nil
	}
	var one [1]uint32
	for i := range dst {
		if err := v.bools.read(one[:]); err != nil {
			return err
		}
		dst[i] = int64(one[0])
	}
	return nil
}

// text takes the next value as a text; its bytes hold until the next call.
func (v *values) text() ([]byte, error) {
	switch {
	case v.split:
		if v.texts.at == len(v.texts.ends) {
			return nil, errValuesShort
		}
		v.texts.at++
		b := v.texts.text(v.texts.at - 1)
		if v.form.size > 0 {
			return v.fixed(b)
		}
		return b, nil
	case v.form.kind == parquet.ByteArray:
		if len(v.data) < 4 {
			return nil, errValuesShort
		}
		n := binary.LittleEndian.Uint32(v.data)
		if uint64(n) > uint64(len(v.data)-4) {
			return nil, errValuesShort
		}
		b := v.data[4 : 4+n]
		v.data = v.data[4+n:]
		return b, nil
	case v.form.text:
		if len(v.data) < v.form.size {
			return nil, errValuesShort
		}
		b := v.data[:v.form.size]
		v.data = v.data[v.form.size:]
		return v.fixed(b)
	}
	return v.decimal()
}

// fixed is a value of fixed length as a text; a UUID is written in the usual way.
func (v *values) fixed(b []byte) ([]byte, error) {
	if !v.form.uuid {
		return b, nil
	}
	if len(b) != 16 {
		return nil, errValuesShort
	}
	out := v.number[:0]
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			out = append(out, '-')
		}
		out, b = hex.AppendEncode(out, b[:n]), b[n:]
	}
	v.number = out
	return out, nil
}

// decimal writes a number or a boolean as a text.
func (v *values) decimal() ([]byte, error) {
	var one [1]int64
	var err error
	if v.form.kind == parquet.Int64 {
		err = v.int64s(one[:])
	} else {
		err = v.ints(one[:])
	}
	out := v.number[:0]
	switch {
	case v.form.kind == parquet.Boolean:
		out = strconv.AppendBool(out, one[0] != 0)
	case v.form.unsigned:
		out = strconv.AppendUint(out, uint64(one[0]), 10)
	default:
		out = strconv.AppendInt(out, one[0], 10)
	}
	v.number = out
	return out, err
}
