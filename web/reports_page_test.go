package web

import (
	"bytes"
	"context"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/reporter"
	"github.com/playmeter/playmeter/schemas"
)

// exactValues stand in the place of others, for those who want them.
var exactValues = regexp.MustCompile(`<span class="exact">[^<]*</span>`)

// text is a page without its tags, on one line.
func text(body string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(exactValues.ReplaceAllString(body, ""), "<") {
		_, after, ok := strings.Cut(part, ">")
		if !ok {
			after = part
		}
		b.WriteString(" " + after)
	}
	return strings.Join(strings.Fields(html.UnescapeString(b.String())), " ")
}

func TestTheListOfMonths(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	next := s.clock.at.Add(17 * time.Minute)
	s.Runs = func(time.Time) []NextRun { return []NextRun{{Tenant: w.films, At: next}} }
	films := s.person().signsIn(filmsToken)
	body := films.sees("/reports", 200).Body.String()
	page := text(body)
	for _, want := range []string{"2026-11 open 2026-11-09 00:00:00 2026-11-20 09:17:00", "2026-10 final, restated 1× 2026-11-06 00:00:00 –", "Rows of usage", "Rows of sessions"} {
		if !strings.Contains(page, want) {
			t.Errorf("the list lacks %q: %s", want, page)
		}
	}
	if strings.Contains(body, string(w.sports)) || strings.Contains(body, "<select") || !strings.Contains(body, `href="`+monthPath(w.films, october)+`"`) {
		t.Errorf("a tenant's list: %s", body)
	}
	if got := text(s.person().signsIn(usageToken).sees("/reports", 200).Body.String()); strings.Contains(got, "sessions") {
		t.Errorf("who may see usage alone sees %s", got)
	}
	admin := s.person().signsIn(adminToken)
	all := admin.sees("/reports", 200).Body.String()
	for _, tenant := range w.Tenants {
		if !strings.Contains(all, `value="`+string(tenant.ID)+`"`) || !strings.Contains(all, monthPath(tenant.ID, november)) {
			t.Errorf("an administrator's list lacks %s: %s", tenant.ID, all)
		}
	}
	if one := admin.sees("/reports?tenant="+string(w.sports), 200).Body.String(); strings.Contains(one, monthPath(w.films, november)) || !strings.Contains(one, monthPath(w.sports, november)) {
		t.Errorf("one tenant's list: %s", one)
	}
	before := films.sees("/reports?before=2026-11", 200).Body.String()
	if strings.Contains(before, monthPath(w.films, november)) || !strings.Contains(before, monthPath(w.films, october)) || !strings.Contains(before, ">Newest<") {
		t.Errorf("before November: %s", before)
	}
	if got := s.person().signsIn(goneToken).sees("/reports", 200).Body.String(); !strings.Contains(got, "No reports yet") {
		t.Errorf("a tenant without months: %s", got)
	}
}

func TestOtherTenantsArePagesThatAreNot(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	films := s.person().signsIn(filmsToken)
	for _, suffix := range []string{"", "/usage", "/sessions", "/diff", "/inputs", "/manifest", "/signature", "/usage?run=" + w.current} {
		answers := make(map[string]bool)
		for _, tenant := range []string{string(w.sports), "nobody", "bad!id"} {
			got := films.sees("/reports/"+tenant+"/2026-11"+suffix, 404)
			answers[strings.ReplaceAll(got.Body.String(), tenant, "T")] = true
		}
		if len(answers) != 1 {
			t.Errorf("%s: answers differ: %v", suffix, answers)
		}
	}
	films.posts(monthPath(w.sports, november)+"/verify", url.Values{}, 404)
	for _, query := range []string{"tenant=" + string(w.sports), "tenant=nobody", "tenant=bad!id"} {
		films.sees("/reports?"+query, 404)
	}
	films.sees("/reports?before=x", 400)
	films.sees("/reports?x=1", 400)
	films.sees("/runs", 403)
	films.posts("/runs", url.Values{}, 403)
	films.sees(monthPath(w.films, november.Next()), 404)
	films.sees("/reports/"+string(w.films)+"/2026-13", 404)
	usage := s.person().signsIn(usageToken)
	usage.sees(monthPath(w.films, november)+"/sessions", 403)
	usage.sees(monthPath(w.films, november)+"/usage", 200)
	none := s.person().signsIn(reportsOfNone)
	none.sees("/reports", 403)
}

func TestTheWrongOfPagesIsToldOnPages(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	films := s.person().signsIn(filmsToken)
	tests := []struct {
		name, path, want string
		status           int
	}{
		{"not for them", "/runs", "for administrators", 403},
		{"no such page", "/nothing", "There is no such page. Dashboard Sessions Reports", 404},
		{"no such tenant", "/reports/nobody/2026-11", "no such tenant", 404},
		{"no such month", monthPath(w.films, november.Next()), "no reports of 2026-12", 404},
		{"reports that are kept no longer", monthPath(w.films, november) + "/usage?run=" + w.pruned, "kept no longer", 410},
		{"a bad parameter", "/reports?before=<b>", "Write before as a month", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := films.sees(tt.path, tt.status)
			if !strings.Contains(text(got.Body.String()), tt.want) || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") || got.Header().Get("Cache-Control") != "no-store" ||
				got.Header().Get("Content-Disposition") != "" || got.Header().Get("Etag") != "" {
				t.Errorf("%v %s", got.Header(), got.Body)
			}
			if page := text(got.Body.String()); !strings.Contains(got.Body.String(), `<a class="button" href="/">Dashboard</a>`) || strings.Contains(page, "/api/") {
				t.Errorf("there is no way back, or it says what is for programs: %s", page)
			}
			if offers := strings.Contains(got.Body.String(), "with another token"); offers != (tt.status == 403) {
				t.Errorf("another token is offered: %v", offers)
			}
		})
	}
	api := films.sees("/api/v1/nothing", 404)
	if api.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("what is wrong with the API: %v", api.Header())
	}
	if got := s.recorded(); !strings.Contains(got, `"refused_path":"/runs"`) || !strings.Contains(got, `"token":"id-of-`+filmsToken+`"`) {
		t.Errorf("on record is %s", got)
	}
}

func TestThePageOfAMonth(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	films := s.person().signsIn(filmsToken)
	body := films.sees(monthPath(w.films, october), 200).Body.String()
	page := text(body)
	key := w.Tenants[0].Recipients[schemas.ReportUsage][0].Fingerprint()
	set, err := w.PublishedSet(t.Context(), w.films, october, reporter.Which{})
	if err != nil {
		t.Fatal(err)
	}
	_, entry, err := set.Report(schemas.ReportUsage)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{w.Tenants[0].Name, "final, restated 1×", "Restatement 1", "It stands", "Final reports", "Run " + w.final, "Run " + w.restatement, key, entry.Sealed.SHA256, entry.Plaintext.SHA256,
		"age -d -i KEY " + string(w.films) + "-2026-10-usage.csv.gz.age | gunzip > usage.csv", string(w.films) + "-2026-10-restatement-1-usage.diff.csv.gz.age | gunzip > usage.diff.csv", "Check now"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	commands := []string{"playmeter fetch usage --tenant " + string(w.films) + " --month 2026-10 --identity FILE -o usage.csv", "playmeter fetch usage.diff --tenant " + string(w.films) + " --month 2026-10 --restatement 1",
		"playmeter verify --tenant " + string(w.films) + " --month 2026-10 --recompute"}
	admins := text(s.person().signsIn(adminToken).sees(monthPath(w.films, october), 200).Body.String())
	for _, command := range commands {
		if !strings.Contains(admins, command) || strings.Contains(page, command) {
			t.Errorf("an administrator is not told %q, or the tenant is", command)
		}
	}
	if !strings.Contains(body, `<bdi title="`+string(w.films)+`">`+w.Tenants[0].Name+`</bdi>`) {
		t.Errorf("the header says not whose it is: %s", body)
	}
	if got := text(s.person().signsIn(usageToken).sees(monthPath(w.films, october), 200).Body.String()); strings.Contains(strings.ToLower(got), "sessions") {
		t.Errorf("who may see usage alone sees %s", got)
	}
	november := text(films.sees(monthPath(w.films, november), 200).Body.String())
	for _, want := range []string{"Month to date", w.before, w.current, "open, current"} {
		if !strings.Contains(november, want) || strings.Contains(november, w.pruned) {
			t.Errorf("November lacks %q, or has what was pruned: %s", want, november)
		}
	}
}

// TestDownloadsOfPagesAreThoseOfTheAPI to the byte, and on record as those are.
func TestDownloadsOfPagesAreThoseOfTheAPI(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	films := s.person().signsIn(filmsToken)
	for _, name := range []string{"usage", "sessions", "inputs", "manifest", "signature", "diff", "diff?restatement=1", "usage?restatement=1", "usage?run=" + w.final} {
		page := films.sees(monthPath(w.films, october)+"/"+name, 200)
		api := s.get(w.folder(w.films, october)+"/"+name, filmsToken, 200)
		if !bytes.Equal(page.Body.Bytes(), api.Body.Bytes()) || page.Body.Len() == 0 {
			t.Errorf("%s: %d and %d bytes", name, page.Body.Len(), api.Body.Len())
		}
		for _, header := range []string{"Etag", "Content-Disposition", "Content-Type", HeaderRun} {
			if page.Header().Get(header) != api.Header().Get(header) {
				t.Errorf("%s: %s is %q and %q", name, header, page.Header().Get(header), api.Header().Get(header))
			}
		}
	}
	got := s.recorded()
	if n := strings.Count(got, `"event":"granted"`); n != 18 || strings.Count(got, `"route":"/reports/{tenant}/{month}/`) != 18 {
		t.Errorf("%d are on record: %s", n, got)
	}
}

func TestWithoutARecordNoPageHandsAnythingOut(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	films := s.person().signsIn(filmsToken)
	s.log.fail(errors.New("the bucket is full"))
	if got := films.sees(monthPath(w.films, october)+"/usage", 503); !strings.Contains(got.Body.String(), "on record") {
		t.Errorf("%s", got.Body)
	}
}

func TestAMonthIsCheckedWhenAsked(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	begun := make(chan func(context.Context), 10)
	s.Go = func(work func(context.Context)) { begun <- work }
	films := s.person().signsIn(filmsToken)
	month := monthPath(w.films, october)
	if to := films.posts(month+"/verify", url.Values{}, 303).Header().Get("Location"); to != month+"#check" {
		t.Errorf("sent to %s", to)
	}
	films.posts(month+"/verify", url.Values{}, 303) // it is under way: nothing more begins
	flying := films.sees(month, 200).Body.String()
	if !strings.Contains(flying, "Being checked") || !strings.Contains(flying, `hx-trigger="every 2s"`) || strings.Contains(flying, "Check now") || len(begun) != 1 {
		t.Errorf("%d began: %s", len(begun), flying)
	}
	part := films.sees(month, 200, "HX-Request", "true", "HX-Target", checkElement).Body.String()
	if strings.Contains(part, "<html") || !strings.Contains(part, "Being checked") {
		t.Errorf("the part alone is %s", part)
	}
	(<-begun)(t.Context())
	done := films.sees(month, 200).Body.String()
	if !strings.Contains(done, "All is well") || !strings.Contains(text(done), w.Signer.Fingerprint()) || strings.Contains(done, "hx-trigger") || !strings.Contains(done, "Check again") {
		t.Errorf("afterwards: %s", text(done))
	}
	films.posts(month+"/verify", url.Values{}, 303) // it has just been checked
	if len(begun) != 0 {
		t.Error("it is checked again at once")
	}
	s.clock.move(checkAgain)
	films.posts(month+"/verify", url.Values{}, 303)
	if len(begun) != 1 {
		t.Error("it is not checked again")
	}
	films.posts(monthPath(w.films, november)+"/verify", url.Values{}, 429) // one at a time
	s.person().signsIn(usageToken).posts(monthPath(w.films, november)+"/verify", url.Values{}, 303)
	admin := s.person().signsIn(adminToken)
	if got := admin.posts(monthPath(w.sports, november)+"/verify", url.Values{}, 429); got.Header().Get("Retry-After") == "" {
		t.Error("two at once are not all there can be")
	}
	for range 2 {
		(<-begun)(t.Context())
	}
	admin.posts(monthPath(w.sports, november)+"/verify", url.Values{}, 303)
	admin.posts(monthPath(w.sports, november.Next())+"/verify", url.Values{}, 404)
}

func TestWhatACheckFoundIsTold(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	id := monthID{w.films, october}
	run := w.restatement
	put := func(out *reporter.Verification, err error) {
		begun, end, _ := s.service.checks.begin(id, run, "t", s.clock.now())
		end()
		begun.out, begun.err, begun.ended = out, err, s.clock.now()
		s.clock.move(checkAgain)
	}
	folder := schemas.ReportFolder(w.films, october)
	put(&reporter.Verification{Notes: []string{"sessions are noted"}, Findings: []reporter.Finding{
		{Object: folder + "runs/x/usage.csv.gz.age", Problem: "<script>it is altered</script>", Next: "restore it"},
		{Object: folder + "runs/x/sessions.csv.gz.age", Problem: "the other is, too", Next: "restore it"}}}, nil)
	both := s.person().signsIn(filmsToken).sees(monthPath(w.films, october), 200).Body.String()
	if !strings.Contains(both, "&lt;script&gt;it is altered") || !strings.Contains(both, "the other is, too") || !strings.Contains(both, "Something is wrong") || strings.Contains(both, "<script>it") {
		t.Errorf("told is %s", text(both))
	}
	usage := text(s.person().signsIn(usageToken).sees(monthPath(w.films, october), 200).Body.String())
	if strings.Contains(usage, "the other") || strings.Contains(usage, "noted") || strings.Contains(usage, "1 finding") || !strings.Contains(usage, "Not shown here: findings about what your token is not for") {
		t.Errorf("to who may see usage alone: %s", usage)
	}
	good := &reporter.Verification{Objects: 77, Bytes: 88_000, Pruned: 55}
	put(good, nil)
	for token, all := range map[string]bool{filmsToken: true, usageToken: false, sessionsToken: false} {
		got := text(s.person().signsIn(token).sees(monthPath(w.films, october), 200).Body.String())
		for _, counted := range []string{"77 objects", "88.0 kB", "55 reports"} {
			if strings.Contains(got, counted) != all || !strings.Contains(got, "All is well") {
				t.Errorf("%s: told of %q is %v, want %v: %s", token, counted, !all, all, got)
			}
		}
	}
	run = w.final // before it was restated
	put(good, nil)
	if got := text(s.person().signsIn(filmsToken).sees(monthPath(w.films, october), 200).Body.String()); strings.Contains(got, "All is well") ||
		!strings.Contains(got, "UTC, before run "+w.restatement+" was made: check again") {
		t.Errorf("of a run that stands no more: %s", got)
	}
	put(nil, bucket.ErrDenied)
	if got := text(s.person().signsIn(filmsToken).sees(monthPath(w.films, october), 200).Body.String()); !strings.Contains(got, "could not be checked") || strings.Contains(got, bucket.ErrDenied.Error()) {
		t.Errorf("told is %s", got)
	}
}

func TestANewerRunCanBeCheckedAtOnce(t *testing.T) {
	c := &check{run: "a", ended: time.Unix(1_800_000_000, 0)}
	if c.due("a", c.ended) || !c.due("a", c.ended.Add(checkAgain)) || !c.due("b", c.ended) {
		t.Error("it is to be checked again after a while, or when there is another run")
	}
	if c.ended = (time.Time{}); c.due("b", time.Unix(1_800_000_000, 0)) {
		t.Error("what is under way is begun twice")
	}
}

func TestOpenCommand(t *testing.T) {
	for file, want := range map[string]string{"t-usage.csv.gz.age": "age -d -i KEY t-usage.csv.gz.age | gunzip > usage.csv",
		"t-usage.csv.zst.age": "age -d -i KEY t-usage.csv.zst.age | zstd -d > usage.csv", "t-usage.csv.age": "age -d -i KEY t-usage.csv.age > usage.csv"} {
		if got := openCommand(schemas.ReportUsage, file); got != want {
			t.Errorf("%s: %s", file, got)
		}
	}
}

func TestHostileNamesAreText(t *testing.T) {
	w := sampleWorld(t)
	s := serveWorld(t)
	r := &reporter.Reporter{Store: w.Store, Buckets: w.Buckets, Signer: w.Signer, Signers: w.Signers, Log: w.Log, Now: w.Now, Grace: w.Grace}
	r.Tenants = append(r.Tenants, w.Tenants...)
	r.Tenants[0].Name = `</title><script>alert("n")</script>` + "\u202e"
	r.Tenants[0].Readers = map[schemas.Report][]string{schemas.ReportUsage: {`<img src=x onerror=alert(1)>`}}
	s.Reports = r
	for _, path := range []string{"/reports", "/reports?tenant=" + string(w.films), monthPath(w.films, october), "/runs"} {
		body := s.person().signsIn(adminToken).sees(path, http.StatusOK).Body.String()
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") || !strings.Contains(body, "&lt;script&gt;") {
			t.Errorf("%s: %s", path, body)
		}
	}
}
