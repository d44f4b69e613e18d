package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/playmeter/playmeter/accounting"
	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/crypto"
	"github.com/playmeter/playmeter/schemas"
)

// TierSetting are the thresholds of the tiers: a preset's, or one's own.
type TierSetting struct{ accounting.Tiers }

// Density is which size the density of an ingest goes by.
type Density string

// setText sets a setting from its text. It reports false where the setting is
// no single text, such as a list.
func setText(field any, text string) (known bool, err error) {
	switch f := field.(type) {
	case *string:
		*f = text
	case *crypto.Secret:
		*f = crypto.Secret(text)
	case *time.Duration:
		return true, setDuration(f, text)
	case *bool:
		return true, setSwitch(f, text)
	case *int:
		return true, setCount(f, text)
	case *int32:
		return true, setEdge(f, text)
	case *TierSetting:
		return true, setPreset(f, text)
	case *schemas.Tenant:
		id, err := schemas.ParseTenant(text)
		*f = id
		return true, err
	case *schemas.Compression:
		return true, setWord(f, text, schemas.Compressions)
	case *schemas.Report:
		return true, setWord(f, text, schemas.Reports)
	case *bucket.Dialect:
		return true, setWord(f, text, bucket.Dialects)
	case *accounting.Mask:
		return true, setWord(f, text, accounting.Masks)
	case *Day:
		return true, f.set(text)
	case *Size:
		return true, f.set(text)
	case *Switch:
		return true, f.set(text)
	case *netip.Prefix:
		return true, setNetwork(f, text)
	case *Density:
		return true, setWord(f, text, []Density{accounting.DensityOfDestination, accounting.DensityOfSource})
	default:
		return false, nil
	}
	return true, nil
}

// Day is a UTC day; the zero Day is none.
type Day struct{ time.Time }

func (d *Day) set(text string) error {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return fmt.Errorf("%q is no day; write it like 2027-01-31", text)
	}
	d.Time = at
	return nil
}

// setNetwork takes a network, or an address as a network of one.
func setNetwork(f *netip.Prefix, text string) error {
	if a, err := netip.ParseAddr(text); err == nil {
		*f = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return fmt.Errorf("%q is no address or network; write it like 10.0.0.7 or 10.0.0.0/8", text)
	}
	*f = p.Masked()
	return nil
}

func setDuration(f *time.Duration, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is no duration; write a number with its unit, such as 72h or 30m", text)
	}
	*f = d
	return nil
}

func setSwitch(f *bool, text string) error {
	switch strings.ToLower(text) {
	case "on", "true":
		*f = true
	case "off", "false":
		*f = false
	default:
		return fmt.Errorf("%q is neither on nor off", text)
	}
	return nil
}

func setCount(f *int, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is no whole number", text)
	}
	*f = n
	return nil
}

func setEdge(f *int32, text string) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is no size in pixels; write a whole number from 1 to %d", text, math.MaxInt32)
	}
	*f = int32(n)
	return nil
}

func setPreset(f *TierSetting, text string) error {
	switch text {
	case "industry":
		f.Tiers = accounting.TiersIndustry
	case "fabric":
		f.Tiers = accounting.TiersFabric
	default:
		return fmt.Errorf("%q is no preset; write industry, fabric, or {hi: {long: 3200, short: 1800}, md: {long: 1280, short: 720}}", text)
	}
	return nil
}

func setWord[T ~string](f *T, text string, words []T) error {
	if !slices.Contains(words, T(text)) {
		return fmt.Errorf("%q is not known; write %s", text, alternatives(words))
	}
	*f = T(text)
	return nil
}

// alternatives writes "a, b or c".
func alternatives[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// ownEdges are a mapping's thresholds; those that it leaves out are zero.
type ownEdges struct {
	Hi struct {
		Long  int32 `yaml:"long"`
		Short int32 `yaml:"short"`
	} `yaml:"hi"`
	Md struct {
		Long  int32 `yaml:"long"`
		Short int32 `yaml:"short"`
	} `yaml:"md"`
}

// decodeNode takes a preset's name or a mapping.
func (t *TierSetting) decodeNode(d *configDecoder, path string, n ast.Node) {
	if !isMapping(n) {
		d.scalar(path, n, t)
		return
	}
	var own ownEdges
	d.decode(path, n, &own)
	t.Tiers = accounting.TiersIndustry
	for _, e := range []struct {
		to   *int32
		from int32
	}{{&t.Hi.Long, own.Hi.Long}, {&t.Hi.Short, own.Hi.Short}, {&t.Md.Long, own.Md.Long}, {&t.Md.Short, own.Md.Short}} {
		if e.from > 0 {
			*e.to = e.from
		}
	}
}

// check wants hi to be no lower than md.
func (t TierSetting) check() error {
	if t.Hi.Long < t.Md.Long || t.Hi.Short < t.Md.Short {
		return errors.New("hi must not be lower than md: " +
			fmt.Sprintf("hi is {long: %d, short: %d}, md is {long: %d, short: %d}", t.Hi.Long, t.Hi.Short, t.Md.Long, t.Md.Short))
	}
	return nil
}
