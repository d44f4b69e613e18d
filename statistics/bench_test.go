package statistics

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/schemas"
)

// A crowd invents the sessions of a large platform, quickly: three tenants, a fifth as many viewers as sessions, five
// thousand streams of which some are watched much more than others, forty servers.
type crowd struct {
	*rand.Rand
	sessions int
}

// BenchmarkPages asks every page of a month in each of its ways, and tells the 95th percentile of each and the memory
// that the database's process took. With PLAYMETER_LONG the month has ten million sessions.
func BenchmarkPages(b *testing.B) {
	sizes := []int{100_000, 1_000_000}
	if os.Getenv("PLAYMETER_LONG") != "" {
		sizes = []int{10_000_000}
	}
	for _, n := range sizes {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) { benchmarkPages(b, n) })
	}
}

func benchmarkPages(b *testing.B, sessions int) {
	metering := newBucket(b)
	c := &crowd{Rand: rand.New(rand.NewPCG(3, 4)), sessions: sessions}
	for tenant := range 3 {
		c.month(b, &commits{t: b, bucket: metering, tenant: schemas.Tenant(fmt.Sprintf("iten%d", tenant)), period: october}, tenant)
	}
	d, err := Open(b.Context(), Options{Folder: b.TempDir(), Metering: metering, Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	began := time.Now()
	follow(b, d)
	b.Logf("loaded: %.0f sessions/s, memory %s, database %s", float64(sessions)/time.Since(began).Seconds(), residentOf(d), diskOf(d))
	for _, q := range c.questions(d) {
		b.Run(q.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				for i := range 20 {
					began := time.Now()
					if err := q.ask(b.Context(), i); err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(began))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Logf("after all of it: memory %s", residentOf(d))
}

// month commits a third of the sessions.
func (c *crowd) month(b testing.TB, to *commits, tenant int) {
	commit := to.begin()
	for day := range 31 {
		n := c.sessions / 93
		rows := make([]schemas.Session, n)
		step := int64(24*3600*1e9) / int64(n+1)
		for i := range rows {
			c.fill(&rows[i], tenant, to.period.Start().AddDate(0, 0, day).UnixNano()+int64(i)*step)
		}
		to.add(commit, day, rows, 100_000)
	}
	to.end(commit)
}

// skewed is a number below n; small ones come up much more often.
func (c *crowd) skewed(n int) int {
	f := c.Float64()
	return int(f * f * f * float64(n))
}

// person is one of a fifth as many as there are sessions; some watch more than others.
func (c *crowd) person() int {
	f := c.Float64()
	return int(f * f * float64(c.sessions/5))
}

func (c *crowd) fill(s *schemas.Session, tenant int, start int64) {
	person, node, stream := c.person(), c.IntN(40), c.skewed(5000)
	place := person % 200
	micros := c.Int64N(7200e6)
	*s = schemas.Session{
		SessionID: strconv.AppendUint(nil, c.Uint64(), 36), Object: fmt.Appendf(nil, "iq__%dobject%04d", tenant, stream), Title: fmt.Appendf(nil, "Title number %d", stream),
		Start: start, End: start + micros*1000, Begun: true, HasVideo: true, Requests: 100, Duration: schemas.None, Percent: schemas.None,
		Platform: []byte([]string{"phone", "desktop", "tv", "tablet", "console"}[person%5]), OS: []byte([]string{"iOS", "Windows", "Tizen", "Android", "Xbox"}[person%5]),
		Renditions: []schemas.Rendition{{Width: []int32{640, 1280, 3840}[person%3], Height: []int32{360, 720, 2160}[person%3], DRM: stream%2 == 0, Micros: micros}},
	}
	s.Video.Add(micros)
	s.Bytes.Add(micros * 600)
	s.Fields[schemas.FieldClientIP] = fmt.Appendf(nil, "%d.%d.%d.%d", 1+person%200, person>>16&255, person>>8&255, person&255)
	s.Fields[schemas.FieldUserAgent] = fmt.Appendf(nil, "Mozilla/5.0 (number %d) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0 Safari/537.36", person%3000)
	if person%4 > 0 {
		s.Fields[schemas.FieldUser] = fmt.Appendf(nil, "user%d", person)
	}
	s.Fields[schemas.FieldReferrer] = fmt.Appendf(nil, "https://www.example.com/page/%d", c.skewed(20000))
	s.Fields[schemas.FieldClientCountry] = []byte(bigCountries[place%len(bigCountries)])
	s.Fields[schemas.FieldClientRegion] = fmt.Appendf(nil, "Region %d", place%80)
	s.Fields[schemas.FieldClientCity] = fmt.Appendf(nil, "City %d", place)
	s.Fields[schemas.FieldNode], s.Fields[schemas.FieldNodeHost] = fmt.Appendf(nil, "inod%d", node), fmt.Appendf(nil, "edge%d.example.com", node)
	s.Fields[schemas.FieldNodeIP], s.Fields[schemas.FieldNodeRegion] = fmt.Appendf(nil, "192.0.2.%d", node), []byte([]string{"eu-west", "us-east", "ap-south"}[node%3])
	s.Fields[schemas.FieldProtocol] = []byte([]string{"hls", "dash"}[stream%2])
	share := schemas.Share{Node: s.Fields[schemas.FieldNode], Requests: 100, Bytes: micros * 600, Video: micros}
	s.Shares = []schemas.Share{share}
	if c.IntN(20) == 0 { // it moved to another server half way
		other := share
		other.Node = fmt.Appendf(nil, "inod%d", (node+1)%40)
		other.Bytes, other.Video = share.Bytes/2, share.Video/2
		share.Bytes, share.Video = share.Bytes-other.Bytes, share.Video-other.Video
		s.Shares = []schemas.Share{share, other}
	}
}

var bigCountries = []string{"DE", "FR", "US", "GB", "PL", "BR", "IN", "JP", "ES", "IT", "NL", "CA", "MX"}

// benchQuestion is a way to ask a page; i varies it.
type benchQuestion struct {
	name string
	ask  func(ctx context.Context, i int) error
}

func (c *crowd) questions(d *Database) []benchQuestion {
	all := Scope{All: true}
	out := []benchQuestion{
		{"dashboard/all", func(ctx context.Context, _ int) error { _, err := d.Dashboard(ctx, all, october); return err }},
		{"dashboard/tenant", func(ctx context.Context, _ int) error { _, err := d.Dashboard(ctx, Of("iten1"), october); return err }},
		{"totals", func(ctx context.Context, _ int) error { _, err := d.Totals(ctx, all, wholeMonth(october)); return err }},
		{"choices", func(ctx context.Context, _ int) error { _, err := d.Choices(ctx, all, wholeMonth(october)); return err }},
	}
	for _, tab := range Tabs {
		view := func(name string, scope Scope, v func(i int) View) {
			out = append(out, benchQuestion{string(tab) + "/" + name, func(ctx context.Context, i int) error {
				_, err := d.Sessions(ctx, scope, v(i))
				return err
			}})
		}
		columns := tab.Columns()
		view("plain", all, func(int) View { return View{Tab: tab, Filter: wholeMonth(october)} })
		view("tenant", Of("iten1"), func(int) View { return View{Tab: tab, Filter: wholeMonth(october)} })
		view("sorted", all, func(i int) View {
			return View{Tab: tab, Filter: wholeMonth(october), Sort: columns[i%len(columns)].Name, Desc: i%2 == 0}
		})
		view("filtered", all, func(i int) View { return View{Tab: tab, Filter: c.filters()[i%len(c.filters())]} })
		view("filtered-tenant", Of("iten2"), func(i int) View { return View{Tab: tab, Filter: c.filters()[i%len(c.filters())]} })
		view("deep", all, func(i int) View { return c.deep(d, tab, i) })
	}
	return out
}

// filters are one of each kind, and some together.
func (c *crowd) filters() []Filter {
	out := []Filter{
		{Stream: "iq__1object0001"}, {Stream: "Title number 17*"}, {User: "user777"}, {IP: "1.0.0.0/8"}, {IP: "7.0.3.9"}, {Agent: "number 17)"}, {Min: "3600"}, {Max: "60"},
		{Protocol: "hls"}, {Servers: []string{"inod3", "inod7"}}, {Country: "DE"}, {Platform: "tv"}, {OS: "iOS"}, {Tier: "hi"}, {DRM: "drm"},
		{From: "2026-10-07", To: "2026-10-07"}, {Country: "FR", Platform: "phone"}, {City: "City 17"}, {ServerRegion: "eu-west", Tier: "md"}, {Agent: "chrome", Min: "60", Max: "600"},
	}
	for i := range out {
		if out[i].From == "" {
			out[i].From, out[i].To = wholeMonth(october).From, wholeMonth(october).To
		}
	}
	return out
}

// deep is a page far behind the first, reached by a cursor that is made from what lies there.
func (c *crowd) deep(d *Database, tab Tab, i int) View {
	v := View{Tab: tab, Filter: wholeMonth(october)}
	q, _ := newQuery(Scope{All: true}, v)
	values := map[string]string{"started": fmt.Sprintf("2026-10-%02d 12:00:00", 1+i), "tenant": "iten1", "nth": "0", sumView: strconv.FormatInt(2e9*int64(i+1), 10),
		sumBytes: strconv.FormatInt(1e12*int64(i+1), 10), "object_id": "iq__1object0001", "server": "inod1", "viewer": "17"}
	at := cursor{Order: q.named}
	for _, k := range q.sorting.keys {
		at.Values = append(at.Values, values[k.expr])
	}
	v.Cursor = at.String()
	return v
}

func wholeMonth(p schemas.Period) Filter {
	return Filter{From: p.Start().Format(time.DateOnly), To: p.End().AddDate(0, 0, -1).Format(time.DateOnly)}
}

// residentOf is the memory of the database's process, now and at most.
func residentOf(d *Database) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.process.command.Process.Pid))
	if err != nil {
		return "not known"
	}
	var out []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "VmHWM") {
			out = append(out, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(out, ", ")
}

func diskOf(d *Database) string {
	info, err := os.Stat(d.o.Folder + "/" + databaseFile)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d MB", info.Size()>>20)
}

// BenchmarkExport writes all sessions of a month as CSV.
func BenchmarkExport(b *testing.B) {
	metering := newBucket(b)
	c := &crowd{Rand: rand.New(rand.NewPCG(3, 4)), sessions: 300_000}
	c.month(b, &commits{t: b, bucket: metering, tenant: "iten0", period: october}, 0)
	d, err := Open(b.Context(), Options{Folder: b.TempDir(), Metering: metering, Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	follow(b, d)
	for b.Loop() {
		if err := d.Export(b.Context(), Of("iten0"), View{Tab: TabPlayback}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(c.sessions/3)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
