package schemas

import (
	"fmt"
	"time"
)

// Period is a UTC calendar month, written YYYY-MM; it is half open.
type Period struct {
	year  int
	month time.Month
}

// PeriodOf returns the month that holds t.
func PeriodOf(t time.Time) Period {
	u := t.UTC()
	return Period{u.Year(), u.Month()}
}

// ParsePeriod reads YYYY-MM.
func ParsePeriod(s string) (Period, error) {
	t, err := time.Parse("2006-01", s)
	if err != nil || t.Year() < 2000 || t.Year() > 2099 {
		return Period{}, fmt.Errorf("month %q: write it as YYYY-MM, such as 2026-10, from 2000 to 2099", s)
	}
	return PeriodOf(t), nil
}

// String writes YYYY-MM.
func (p Period) String() string { return fmt.Sprintf("%04d-%02d", p.year, int(p.month)) }

// Start is the first instant of the month.
func (p Period) Start() time.Time { return time.Date(p.year, p.month, 1, 0, 0, 0, 0, time.UTC) }

// End is the first instant after the month.
func (p Period) End() time.Time { return p.Start().AddDate(0, 1, 0) }

// Next is the month after.
func (p Period) Next() Period { return PeriodOf(p.End()) }

// Previous is the month before.
func (p Period) Previous() Period { return PeriodOf(p.Start().AddDate(0, 0, -1)) }

// IsZero tells whether no month was given.
func (p Period) IsZero() bool { return p == Period{} }

// MarshalText writes YYYY-MM.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads YYYY-MM.
func (p *Period) UnmarshalText(b []byte) error {
	q, err := ParsePeriod(string(b))
	if err != nil {
		return err
	}
	*p = q
	return nil
}

// Hour is a UTC hour, counted from 1970; the grain of every tally.
type Hour int32

// Day is a UTC day, counted from 1970.
type Day int32

const (
	hourNanos = int64(time.Hour)
	dayNanos  = 24 * hourNanos
)

// HourOf returns the hour that holds the instant ns (Unix nanoseconds).
func HourOf(ns int64) Hour { return Hour(floorDiv(ns, hourNanos)) }

// DayOf returns the day that holds the instant ns (Unix nanoseconds).
func DayOf(ns int64) Day { return Day(floorDiv(ns, dayNanos)) }

// Start is the hour's first instant in Unix nanoseconds.
func (h Hour) Start() int64 { return int64(h) * hourNanos }

// Day is the UTC day of the hour.
func (h Hour) Day() Day { return Day(floorDiv(int64(h), 24)) }

// Start is the day's first instant in Unix nanoseconds.
func (d Day) Start() int64 { return int64(d) * dayNanos }

// String writes YYYY-MM-DD.
func (d Day) String() string { return time.Unix(0, d.Start()).UTC().Format("2006-01-02") }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
