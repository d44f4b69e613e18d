package statistics

import (
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/duckdb/duckdb-go/v2"
)

// registerAddress makes a half of an address known to SQL under a name.
func registerAddress(c *sql.Conn, name string, part func(high, low uint64) uint64) error {
	return duckdb.RegisterScalarUDF(c, name, &addressFunction{part})
}

// addressFunction is a function of SQL over the text of an address: a half of its 128 bits, IPv4 as
// ::ffff:0:0/96 has it. What is no address is 0.
type addressFunction struct {
	part func(high, low uint64) uint64
}

// Config is duckdb.ScalarFunc's.
func (f *addressFunction) Config() duckdb.ScalarFuncConfig {
	in, err := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	out, err2 := duckdb.NewTypeInfo(duckdb.TYPE_UBIGINT)
	if err := errors.Join(err, err2); err != nil {
		panic(err) // cannot happen: plain types
	}
	return duckdb.ScalarFuncConfig{InputTypeInfos: []duckdb.TypeInfo{in}, ResultTypeInfo: out}
}

// Executor is duckdb.ScalarFunc's.
func (f *addressFunction) Executor() duckdb.ScalarFuncExecutor {
	return duckdb.ScalarFuncExecutor{RowExecutor: func(values []driver.Value) (any, error) {
		text, _ := values[0].(string)
		a, err := netip.ParseAddr(text)
		if err != nil {
			return uint64(0), nil
		}
		return f.part(halves(a)), nil
	}}
}

// halves are the 128 bits of an address; IPv4 is ::ffff:0:0/96.
func halves(a netip.Addr) (high, low uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// span is the first and the last address of a network.
func span(p netip.Prefix) (first, last [2]uint64) {
	p = p.Masked()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	first[0], first[1] = halves(p.Addr())
	last = first
	if bits < 64 {
		last[0] |= ^uint64(0) >> bits
		last[1] = ^uint64(0)
	} else if bits < 128 {
		last[1] |= ^uint64(0) >> (bits - 64)
	}
	return first, last
}
