package oracle

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	_ "github.com/duckdb/duckdb-go/v2"
)

//go:embed sql/tables.sql
var tablesSQL string

//go:embed sql/rows.sql
var rowsSQL string

// ready makes sure that the database holds the files of the world as they are
// now, and the tables of look-ups as they are now.
func (w *World) ready(ctx context.Context) error {
	state, err := w.state()
	if err != nil {
		return err
	}
	if w.db == nil || w.loaded != state {
		w.closeDB()
		if err := w.load(ctx); err != nil {
			w.closeDB()
			return err
		}
		w.loaded = state
	}
	return w.lookups(ctx)
}

// state tells one set of files from another.
func (w *World) state() (string, error) {
	var b strings.Builder
	for _, f := range slices.Concat(w.Files, w.Catalogs) {
		st, err := os.Stat(f.Path)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&b, f.Key, f.Path, st.Size(), st.ModTime().UnixNano())
	}
	fmt.Fprintln(&b, len(w.Hashes))
	return b.String(), nil
}

// load reads all files into a new database.
func (w *World) load(ctx context.Context) error {
	db, err := sql.Open("duckdb", "?threads=2&memory_limit=4GB")
	if err != nil {
		return err
	}
	w.db = db
	if w.conn, err = db.Conn(ctx); err != nil {
		return err
	}
	if err := w.exec(ctx, tablesSQL); err != nil {
		return fmt.Errorf("tables: %w", err)
	}
	if err := w.loadFiles(ctx); err != nil {
		return err
	}
	for _, f := range w.Catalogs {
		if err := w.loadCatalog(ctx, f); err != nil {
			return fmt.Errorf("load catalog %s: %w", f.Key, err)
		}
	}
	if err := w.insert(ctx, "hashes", len(w.Hashes), func(i int) []any { return []any{w.Hashes[i].Hash, w.Hashes[i].Object} }); err != nil {
		return err
	}
	if err := w.exec(ctx, rowsSQL); err != nil {
		return fmt.Errorf("rows: %w", err)
	}
	return nil
}

// loadFiles loads the usage files, two at a time: DuckDB reads a small one
// with a single thread. They are numbered by the order of their keys.
func (w *World) loadFiles(ctx context.Context) error {
	files := slices.Clone(w.Files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Key, b.Key) })
	var all sync.WaitGroup
	errs := make([]error, 2)
	for n := range errs {
		all.Go(func() {
			conn, err := w.db.Conn(ctx)
			if err != nil {
				errs[n] = err
				return
			}
			defer conn.Close()
			for i := n; i < len(files); i += len(errs) {
				if !counts(files[i].Key) {
					continue
				}
				if err := loadFile(ctx, conn, files[i], i); err != nil {
					errs[n] = fmt.Errorf("load %s: %w", files[i].Key, err)
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (w *World) exec(ctx context.Context, query string) error {
	_, err := w.conn.ExecContext(ctx, query)
	return err
}

// insert fills a table of text columns.
func (w *World) insert(ctx context.Context, table string, n int, line func(int) []any) error {
	for from := 0; from < n; from += 500 {
		var values []string
		for i := from; i < min(n, from+500); i++ {
			var cells []string
			for _, c := range line(i) {
				cells = append(cells, quoted(c.(string)))
			}
			values = append(values, "("+strings.Join(cells, ",")+")")
		}
		if err := w.exec(ctx, "insert into "+table+" values "+strings.Join(values, ",")); err != nil {
			return fmt.Errorf("fill %s: %w", table, err)
		}
	}
	return nil
}

// counts says whether a key of the usage bucket is a usage file.
func counts(key string) bool {
	for _, part := range strings.Split(key, "/") {
		if strings.HasPrefix(part, "_") || strings.HasPrefix(part, ".") {
			return false
		}
	}
	for _, end := range []string{".parquet", ".ndjson", ".ndjson.gz", ".ndjson.zst"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}

// A source is a file as a table: an expression to select from, an expression
// for the number of a line, and the type of each column there is.
type source struct {
	from, line string
	types      map[string]string
}

// open makes a table of a file. NDJSON becomes text columns with these
// names; lines that are no object are left out.
func open(ctx context.Context, conn *sql.Conn, f File, names []string) (source, error) {
	if strings.HasSuffix(f.Key, ".parquet") {
		s := source{from: "read_parquet(" + quoted(f.Path) + ", file_row_number = true)", line: "file_row_number", types: map[string]string{}}
		rows, err := conn.QueryContext(ctx, "select column_name, column_type from (describe select * from "+s.from+")")
		if err != nil {
			return s, err
		}
		defer rows.Close()
		for rows.Next() {
			var name, kind string
			if err := rows.Scan(&name, &kind); err != nil {
				return s, err
			}
			s.types[name] = kind
		}
		return s, rows.Err()
	}
	compression := "none"
	if strings.HasSuffix(f.Key, ".gz") {
		compression = "gzip"
	} else if strings.HasSuffix(f.Key, ".zst") {
		compression = "zstd"
	}
	types := map[string]string{}
	var fields []string
	for _, n := range names {
		types[n] = "VARCHAR"
		fields = append(fields, fmt.Sprintf("%q:\"VARCHAR\"", n))
	}
	s := source{line: "n", types: types}
	s.from = fmt.Sprintf(`(
		select n, unnest(json_transform(line, %s)) from (
			select row_number() over () as n, line
			from read_csv(%s, columns = {'line': 'VARCHAR'}, delim = chr(1), quote = '', escape = '', header = false, compression = %s, auto_detect = false)
		) where case when json_valid(line) then json_type(line) = 'OBJECT' else false end
	)`, quoted("{"+strings.Join(fields, ",")+"}"), quoted(f.Path), quoted(compression))
	return s, nil
}

// loadFile adds the rows of a usage file to the table raw, every column in
// the one type that the queries use. A value that does not convert makes the
// row bad. The file is the one with this number.
func loadFile(ctx context.Context, conn *sql.Conn, f File, number int) error {
	s, err := open(ctx, conn, f, slices.Concat(textNames[:], numberNames[:]))
	if err != nil {
		return err
	}
	if err := s.repair(ctx, conn); err != nil {
		return err
	}
	columns := []string{fmt.Sprint(number), s.line}
	bad := []string{"false"}
	for _, name := range textNames {
		columns = append(columns, s.text(name))
	}
	for c, name := range numberNames {
		value := s.number(c, name)
		columns = append(columns, value)
		if _, there := s.types[name]; there && c != nTime {
			bad = append(bad, fmt.Sprintf("(%s and (%s) is null)", s.filled(name), value))
		}
	}
	columns = append(columns, strings.Join(bad, " or "))
	_, err = conn.ExecContext(ctx, "insert into raw select "+strings.Join(columns, ",\n")+" from "+s.from)
	return err
}

// text is the column as text, empty where there is none.
func (s source) text(name string) string {
	if _, there := s.types[name]; !there {
		return "''"
	}
	return fmt.Sprintf("coalesce(%s::varchar, '')", name)
}

// filled says that the column holds something: an empty string is nothing.
func (s source) filled(name string) string {
	if s.types[name] == "VARCHAR" {
		return fmt.Sprintf("coalesce(%s, '') <> ''", name)
	}
	return name + " is not null"
}

// number is a number column as a BIGINT, null where there is none or where it
// does not convert.
func (s source) number(c int, name string) string {
	kind, there := s.types[name]
	switch {
	case !there:
		return "null"
	case isInstant(c) && kind == "VARCHAR":
		return fmt.Sprintf("instant(%s)", name)
	case isInstant(c) && strings.HasPrefix(kind, "TIMESTAMP"):
		return fmt.Sprintf("epoch_ns(%s)", name)
	case isInstant(c):
		return fmt.Sprintf("try_cast(%s::hugeint * 1000000 as bigint)", name)
	case isFlag(c) && kind == "VARCHAR":
		return fmt.Sprintf("case lower(%s) when 'true' then 1 when '1' then 1 when 'false' then 0 when '0' then 0 end", name)
	case isFlag(c):
		return fmt.Sprintf("case %s::integer when 0 then 0 when 1 then 1 end", name)
	case kind == "VARCHAR" && isNarrow(c):
		return fmt.Sprintf("case when regexp_full_match(%[1]s, '-?[0-9]+') then try_cast(%[1]s as integer) end", name)
	case kind == "VARCHAR":
		return fmt.Sprintf("case when regexp_full_match(%[1]s, '-?[0-9]+') then try_cast(%[1]s as bigint) end", name)
	case isNarrow(c):
		return fmt.Sprintf("try_cast(%s as integer)", name)
	}
	return fmt.Sprintf("try_cast(%s as bigint)", name)
}

// repair gives text columns without the UTF-8 annotation a table from their
// bytes to text, where a run of invalid bytes is one U+FFFD (R21).
func (s *source) repair(ctx context.Context, conn *sql.Conn) error {
	for name, kind := range s.types {
		if kind != "BLOB" || !slices.Contains(textNames[:], name) {
			continue
		}
		rows, err := conn.QueryContext(ctx, fmt.Sprintf("select distinct %s from %s where %[1]s is not null and try(decode(%[1]s)) is null", name, s.from))
		if err != nil {
			return err
		}
		var pairs []string
		for rows.Next() {
			var b []byte
			if err := rows.Scan(&b); err != nil {
				rows.Close()
				return err
			}
			pairs = append(pairs, fmt.Sprintf("when from_hex('%x') then %s", b, quoted(strings.ToValidUTF8(string(b), "\uFFFD"))))
		}
		if err := rows.Err(); err != nil {
			return err
		}
		expr := fmt.Sprintf("decode(%s)", name)
		if len(pairs) > 0 {
			expr = fmt.Sprintf("case %s %s else decode(%[1]s) end", name, strings.Join(pairs, " "))
		}
		s.from = fmt.Sprintf("(select * replace (%s as %s) from %s)", expr, name, s.from)
		s.types[name] = "VARCHAR"
	}
	return nil
}

var catalogNames = []string{
	"object_id", "library_id", "object_name", "ip_title_id", "title", "title_type", "asset_type", "master_audio_codec", "master_video_codec",
	"master_resolution", "mezzanine_audio_codec", "mezzanine_video_codec", "storage_bytes", "master_duration_us", "mezzanine_duration_us",
	"video_segments", "mezzanine_playout_formats",
}

// loadCatalog adds the rows of a snapshot to the table catalog.
func (w *World) loadCatalog(ctx context.Context, f File) error {
	tenant, at, ok := snapshotTime(f.Key)
	if !ok {
		return nil
	}
	s, err := open(ctx, w.conn, f, catalogNames)
	if err != nil {
		return err
	}
	columns := []string{quoted(tenant), fmt.Sprint(at), s.line}
	for _, name := range catalogNames {
		kind, there := s.types[name]
		switch {
		case !there:
			columns = append(columns, "null")
		case name == "mezzanine_playout_formats" && kind == "VARCHAR":
			columns = append(columns, fmt.Sprintf("case when starts_with(%[1]s, '[') then %[1]s::json::varchar[] else string_split(%[1]s, ',') end", name))
		default:
			columns = append(columns, name)
		}
	}
	return w.exec(ctx, "insert into catalog select "+strings.Join(columns, ", ")+" from "+s.from)
}

// lookups fills the tables of user agents and of the networks of addresses.
func (w *World) lookups(ctx context.Context) error {
	if err := w.exec(ctx, "delete from agents; delete from places"); err != nil {
		return err
	}
	if err := w.insert(ctx, "agents", len(w.UserAgents), func(i int) []any {
		u := w.UserAgents[i]
		return []any{u.Agent, u.Platform, u.OS, u.Device}
	}); err != nil {
		return err
	}
	hits, err := w.hits(ctx)
	if err != nil {
		return err
	}
	return w.insert(ctx, "places", len(hits), func(i int) []any { return hits[i] })
}

// hits looks up every client address there is: the smallest network that
// contains it.
func (w *World) hits(ctx context.Context) ([][]any, error) {
	networks := make([]netip.Prefix, len(w.Geo))
	for i, g := range w.Geo {
		var err error
		if networks[i], err = netip.ParsePrefix(g.CIDR); err != nil {
			return nil, err
		}
	}
	rows, err := w.conn.QueryContext(ctx, "select distinct client_ip from rows_judged")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var hits [][]any
	for rows.Next() {
		var ip string
		if err := rows.Scan(&ip); err != nil {
			return nil, err
		}
		a, err := netip.ParseAddr(ip)
		if err != nil {
			continue
		}
		best := -1
		for i, n := range networks {
			if n.Contains(a.Unmap()) && (best < 0 || n.Bits() > networks[best].Bits()) {
				best = i
			}
		}
		if best >= 0 {
			g := w.Geo[best]
			hits = append(hits, []any{ip, g.Country, g.Region, g.City})
		}
	}
	return hits, rows.Err()
}
