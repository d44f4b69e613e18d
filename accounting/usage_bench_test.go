package accounting

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// wideReport is a report of n objects with usage and facts.
func wideReport(n int) *UsageReport {
	period, _ := schemas.ParsePeriod("2026-10")
	bounds := NewBounds(period, period.End(), DefaultIdle)
	s := NewSums(bounds, DefaultRules())
	h := NewHoldings(bounds)
	c := new(schemas.Catalog)
	for i := range n {
		id := fmt.Sprintf("iq__%026d", i)
		c.Objects = append(c.Objects, schemas.CatalogObject{ID: schemas.Object(id), Library: "ilib1", Name: "A name, and more", Title: "A title", TitleType: "feature",
			StorageBytes: 48318382080, MasterDuration: 4080634000, MezzanineDuration: schemas.None, MasterVideoCodec: "prores", PlayoutFormats: []string{"hls-clear", "dash-widevine"}})
		s.Add(&schemas.SumRow{Hour: schemas.HourOf(bounds.From), Measure: schemas.MeasureVideo, Object: []byte(id), Width: 1920, Height: 1080,
			Count: int64(i), Bytes: int64(i) * 4_000_001, Micros: int64(i) * 2_002_000})
	}
	h.Add(c, period.Start().Add(-time.Hour), time.Time{})
	return &UsageReport{TenantID: "acme", Name: "Acme", Statement: s.statement, Holdings: h, Guard: true}
}

func BenchmarkUsageReport(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("objects=%d", n), func(b *testing.B) {
			u := wideReport(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := u.Write(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
		})
	}
}
