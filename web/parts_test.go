package web

import (
	"bytes"
	"encoding/json"
	"html/template"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// partOf is one part as pages show it.
func partOf(t *testing.T, name string, data any) string {
	t.Helper()
	all := shellOf(t).assets
	set, err := template.New("").Funcs(pageFuncs(all)).ParseFS(embeddedAssets(), "pages/parts.html")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := set.ExecuteTemplate(&b, name, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// hostile is what a viewer may call a stream, each of another kind of harm.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</script><script>alert(1)</script>`, `<!--`, `]]>`, `{{.Title}}`,
	`javascript:alert(1)`, "=HYPERLINK(\"http://example.com\")", "'; DROP TABLE sessions; --", "\u202egnp.exe", "\u2028\u2029", "\x00\x1b[31m", strings.Repeat("long", 4000), "</title>", "&lt;b&gt;",
}

// partsWith is every part with a text in every place where a viewer's may stand.
func partsWith(text string) map[string]any {
	cells := [][]cell{{{Text: text, Exact: text, Note: text, Href: "/sessions?" + linkTo("", "stream", text)}, {Text: text, Code: true}}}
	t := table{ID: "t", Caption: text, Columns: []column{{Key: "a", Label: text, Help: text, Href: linkTo("/sessions", "sort", text)}, {Key: "b", Label: "B", Numeric: true, Order: descending}}, Rows: cells, Swap: "view"}
	return map[string]any{
		"tiles":   []tile{{Label: text, Value: figure{text, text}, Note: text, Href: linkTo("/sessions", "stream", text)}},
		"bars":    bars{ID: "b", Title: text, Rows: []bar{{Label: text, Note: text, Value: text, Exact: text, Href: linkTo("/sessions", "stream", text), Permille: 500}, {Label: text}}},
		"table":   t,
		"pager":   pager{Shown: text, Newer: linkTo("/sessions", "after", text), Export: linkTo("/sessions.csv", "stream", text), ExportLabel: text, Label: text, Sizes: []choice{{Text: text, Href: linkTo("/", "n", text)}}},
		"empty":   empty{Title: text, Help: text, Href: linkTo("/sessions", "stream", text), Link: text},
		"problem": problemData{Status: 404, Title: text, Detail: text, Href: linkTo("/sessions", "stream", text), Link: text},
		"picker":  picker{Action: "/", Months: []choice{{Value: text, Text: text}}, Tenants: []choice{{Value: text, Text: text, Current: true}}, Keep: []choice{{Value: text, Text: text}}},
		"chart": chart{ID: "c", Title: text, Caption: text, Kind: chartMap, Table: t,
			Data: chartData{Unit: "count", Labels: []string{text}, Names: []string{text}, Links: []string{linkTo("/", "s", text)}, Series: []chartSeries{{Name: text, Values: []int64{1}, Texts: []string{text}}}}},
		"figure": figure{text, text},
		"speaks": speaks{First: time.Unix(0, 0), Run: text, Restated: text, Loaded: text, Help: text, Months: &t},
	}
}

// TestTextsOfViewersAreText: whatever a text says, a part has the elements and attributes that it has for a harmless one.
func TestTextsOfViewersAreText(t *testing.T) {
	for name, data := range partsWith("harmless") {
		want := skeleton(t, partOf(t, name, data))
		for _, text := range hostile {
			if got := skeleton(t, partOf(t, name, partsWith(text)[name])); got != want {
				t.Errorf("%s with %.40q is\n%s\nwant\n%s", name, text, got, want)
			}
		}
	}
}

// skeleton is the elements of a piece of HTML and the names of their attributes; links must stay within the site.
func skeleton(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return b.String()
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			token := z.Token()
			b.WriteString(kind.String() + token.Data)
			for _, a := range token.Attr {
				b.WriteString(" " + a.Key)
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("attribute %s, which the content policy forbids", a.Key)
				}
				if (a.Key == "href" || a.Key == "action" || a.Key == "src") && (!strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//")) {
					t.Errorf("%s leads elsewhere: %q", a.Key, a.Val)
				}
			}
			b.WriteString("\n")
		case html.CommentToken:
			t.Errorf("a comment: %s", z.Raw())
		}
	}
}

func TestDataOfChartsIsWhatWasGiven(t *testing.T) {
	for _, text := range hostile {
		text = strings.ToValidUTF8(text, "")
		part := partOf(t, "chart", partsWith(text)["chart"])
		_, data, _ := strings.Cut(part, `<script type="application/json" id="c-data">`)
		data, _, _ = strings.Cut(data, "</script>")
		var got chartData
		if err := json.Unmarshal([]byte(data), &got); err != nil || got.Labels[0] != text || got.Series[0].Texts[0] != text {
			t.Errorf("%.40q: %v, %+v", text, err, got)
		}
	}
}

func TestParts(t *testing.T) {
	at := time.Date(2026, 10, 14, 9, 17, 3, 123_000_000, time.UTC)
	tests := []struct {
		name, part string
		data       any
		want       []string
		not        string
	}{
		{"a figure has its exact value beside it, one of which is seen", "figure", bytesFigure(1_234_567_890),
			[]string{`<span class="n" title="1,234,567,890 bytes"><span class="rough">1.23 GB</span><span class="exact">1,234,567,890 bytes</span></span>`}, ""},
		{"a figure that is exact has but one text", "figure", countFigure(1_234), []string{`<span class="n">1,234</span>`}, "exact"},
		{"an exact figure has no title", "figure", countFigure(1204), []string{`<span class="n">1,204</span>`}, "title"},
		{"an instant is for machines, too", "instant", instantOf(at), []string{`<time datetime="2026-10-14T09:17:03.123Z">2026-10-14 09:17:03<span class="exact">.123</span></time>`}, ""},
		{"no instant is a dash", "instant", instantOf(time.Time{}), []string{"–"}, "<time"},
		{"a bar is as long as its share", "bars", bars{ID: "x", Rows: []bar{newBar("a", "", spanFigure(333), "/", 333, 1000)}}, []string{`width="33.3%"`, `href="/"`}, ""},
		{"a bar of nothing has no length", "bars", bars{Rows: []bar{newBar("a", "", spanFigure(0), "", 0, 0)}}, []string{`width="0.0%"`}, "<a "},
		{"a bar is never longer than all", "bars", bars{Rows: []bar{{Permille: 4000}}}, []string{`width="100.0%"`}, ""},
		{"what has no name is unknown", "bars", bars{Rows: []bar{{}}}, []string{">unknown<"}, ""},
		{"no rows say so", "bars", bars{Empty: "Nobody watched."}, []string{"Nobody watched."}, "<ol"},
		{"a column says how it is sorted", "table", table{ID: "t", Columns: []column{{Key: "a", Label: "A", Order: ascending, Href: "/x"}, {Key: "b", Label: "B"}}, Rows: [][]cell{{{}, {}}}},
			[]string{`aria-sort="ascending"`, `<a class="sort" id="t-by-a" href="/x">`, "▲", `<th scope="col">B</th>`}, "hx-boost"},
		{"a table that is swapped asks for its element", "table", table{Swap: "view", Columns: []column{{Label: "A"}}, Rows: [][]cell{{{Text: "x"}}}}, []string{`hx-boost="true" hx-target="#view"`}, ""},
		{"a cell of a column of numbers stands on the right and says whose it is", "table", table{Columns: []column{{Label: "Traffic", Numeric: true}}, Rows: [][]cell{{{Text: "1 kB", Exact: "1,000 bytes"}}}},
			[]string{`<td class="right" data-label="Traffic"><bdi class="clip" title="1,000 bytes">1 kB</bdi></td>`}, ""},
		{"a cell of a figure has its exact value, too", "table", table{Columns: []column{{}}, Rows: [][]cell{{figureCell(spanFigure(7_200_000_001), "/")}}},
			[]string{`<bdi class="clip" title="7,200.000001 s"><span class="rough">2 h</span><span class="exact">7,200.000001 s</span></bdi>`}, ""},
		{"the longer text of a cell is no exact value", "table", table{Columns: []column{{}}, Rows: [][]cell{{{Text: "Germany", Exact: "DE"}}}}, []string{`title="DE">Germany</bdi>`}, `class="exact"`},
		{"a bar has exact values of its number and its note", "bars", bars{Rows: []bar{{Label: "a", Note: "2 h", NoteExact: "7,201 s", Value: "1 kB", Exact: "1,001 bytes"}}},
			[]string{`title="7,201 s"><span class="rough">2 h</span><span class="exact">7,201 s</span></bdi>`, `<span class="rough">1 kB</span><span class="exact">1,001 bytes</span>`}, ""},
		{"a cell of an instant", "table", table{Columns: []column{{}}, Rows: [][]cell{{{At: at}}}}, []string{`datetime="2026-10-14T09:17:03.123Z"`}, ""},
		{"a table without rows helps", "table", table{Empty: &empty{Title: "No sessions", Help: "Take a filter away.", Href: "/sessions", Link: "Clear"}}, []string{"No sessions", "Take a filter away.", `<a class="button" href="/sessions">Clear</a>`}, "<table"},
		{"a pager in the middle leads both ways", "pager", pager{Shown: "101 to 200", Newer: "/a", Older: "/b", Export: "/c.csv"}, []string{`rel="prev" href="/a">Previous<`, `rel="next" href="/b">Next<`, `href="/c.csv" download hx-boost="false"`}, "off"},
		{"a pager at the start leads on alone", "pager", pager{Older: "/b"}, []string{`<span class="button off" aria-hidden="true">Previous</span>`, `href="/b"`}, ""},
		{"a picker needs no script", "picker", picker{Action: "/", Months: []choice{{Value: "2026-10", Text: "October 2026", Current: true}}, Before: "/?month=2026-09", Keep: []choice{{Value: "tab", Text: "2"}}},
			[]string{`method="get" action="/"`, `<option value="2026-10" selected>October 2026</option>`, `href="/?month=2026-09" rel="prev"`, `type="hidden" name="tab" value="2"`, `type="submit"`}, `name="tenant"`},
		{"a chart is a table, too", "chart", chart{ID: "c", Kind: chartLine, Table: table{Columns: []column{{Label: "Day"}}, Rows: [][]cell{{{Text: "2026-10-01"}}}}}, []string{`data-chart="line" data-from="c-data"`, "<details open>", "2026-10-01"}, ""},
		{"a problem is read out", "problem", problemData{Title: "Service Unavailable", Detail: "Ask again later."}, []string{`role="alert"`, "Service Unavailable", "Ask again later."}, "<a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := partOf(t, tt.part, tt.data)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("lacks %q:\n%s", want, got)
				}
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("has %q:\n%s", tt.not, got)
			}
		})
	}
}

func TestLinkTo(t *testing.T) {
	tests := []struct {
		name, path string
		pairs      []any
		want       string
	}{
		{"no parameters", "/sessions", nil, "/sessions"},
		{"in the order of their names", "/sessions", []any{"month", october, "page", 2, "a", "b"}, "/sessions?a=b&month=2026-10&page=2"},
		{"without what is empty", "/sessions", []any{"month", "", "a", "b"}, "/sessions?a=b"},
		{"several of one name", "/sessions", []any{"server", "a", "server", "b"}, "/sessions?server=a&server=b"},
		{"texts of viewers", "/sessions", []any{"stream", "a&b=c#d é\r\n"}, "/sessions?stream=a%26b%3Dc%23d+%C3%A9%0D%0A"},
		{"what is no text is left out", "/sessions", []any{"a", math.Pi}, "/sessions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := linkTo(tt.path, tt.pairs...); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
