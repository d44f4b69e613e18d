package statistics

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/playmeter/playmeter/bucket"
)

// engineMark is in the environment of a process that is to be an engine, and of no other.
const engineMark = "PLAYMETER_STATISTICS_ENGINE"

// Main is the engine, and does not return, in a process that a [Database] started as one; in others it does nothing.
// Every program that opens a Database calls it first.
func Main() {
	if os.Getenv(engineMark) == "" {
		return
	}
	if err := runEngine(os.Stdin, os.Stdout); err != nil {
		_ = json.NewEncoder(os.Stdout).Encode(hello{Error: err.Error(), Busy: errors.Is(err, bucket.ErrLocked)})
		os.Exit(1)
	}
	os.Exit(0)
}

// runEngine serves until in ends.
func runEngine(in io.Reader, out io.Writer) error {
	giveWay()
	syscall.Umask(0o077)
	var s settings
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&s); err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	e, err := openEngine(s)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, e.db.Close())
	}
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), in)) // until whoever started us ends, or wants us to
		time.AfterFunc(closePatience, func() { os.Exit(3) })               // a question that takes no notice
		server.Close()
	}()
	if err := json.NewEncoder(out).Encode(hello{URL: "http://" + listener.Addr().String()}); err != nil {
		return errors.Join(err, e.db.Close())
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, e.db.Close())
	}
	return e.db.Close()
}

// closePatience is how long the database may take to end.
const closePatience = 5 * time.Second

// giveWay makes the system prefer everything else to this process: the processor, and what is left when memory ends.
func giveWay() {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("900"), 0o600)
}

// engine is the database in its own process.
type engine struct {
	lock      *os.File // until the process ends
	db        *sql.DB
	secret    string
	snapshots snapshots
	written   chan struct{} // has a place for each question in SQL that is answered
}

// databaseFile and the folders beside it.
const (
	databaseFile = "statistics.duckdb"
	arriving     = "arriving" // files to be loaded
	spilled      = "spilled"  // what the database puts aside
	opened       = "opened"   // whose lock the process holds that has the file open
)

// An engine whose program was killed may need a while to end: the next one waits for it.
const (
	openPatience = 2 * closePatience
	openEach     = 50 * time.Millisecond
)

// takeFile takes the database's file for this process, before anything in its folder is touched.
//
//   - Errors: bucket.ErrLocked where another process goes on having it open.
func takeFile(folder string) (*os.File, error) {
	folder = filepath.Join(folder, opened)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("prepare the folder of the statistics: %w", err)
	}
	for end := time.Now().Add(openPatience); ; time.Sleep(openEach) {
		lock, err := bucket.LockFolder(folder)
		if err == nil || !errors.Is(err, bucket.ErrLocked) || time.Now().After(end) {
			return lock, err
		}
	}
}

// openEngine opens the database of a folder, or makes it, and takes away what it does not need: other files, the
// network, and the means to ask for them.
func openEngine(s settings) (*engine, error) {
	lock, err := takeFile(s.Folder)
	if err != nil {
		return nil, err
	}
	for _, folder := range []string{arriving, spilled} {
		if err := errors.Join(os.RemoveAll(filepath.Join(s.Folder, folder)), os.MkdirAll(filepath.Join(s.Folder, folder), 0o700)); err != nil {
			return nil, fmt.Errorf("prepare the folder of the statistics: %w", err)
		}
	}
	if s.Rewrite {
		if err := rewrite(s); err != nil {
			return nil, fmt.Errorf("write the database anew: %w", err)
		}
	}
	// By its name in the folder, which we are in: the driver takes no path with ? or % in it.
	connector, err := duckdb.NewConnector(databaseFile+"?"+s.options().Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	e := &engine{lock: lock, db: sql.OpenDB(connector), secret: s.Secret, written: make(chan struct{}, maxWritten)}
	if err := e.prepare(filepath.Join(s.Folder, arriving)); err != nil {
		return nil, errors.Join(err, e.db.Close())
	}
	return e, nil
}

// options are how a database is opened.
func (s *settings) options() url.Values {
	options := url.Values{}
	options.Set("threads", strconv.Itoa(s.Threads))
	options.Set("memory_limit", fmt.Sprintf("%dB", s.Memory))
	options.Set("temp_directory", filepath.Join(s.Folder, spilled))
	options.Set("max_temp_directory_size", fmt.Sprintf("%dB", s.Temp))
	options.Set("autoinstall_known_extensions", "false")
	options.Set("autoload_known_extensions", "false")
	options.Set("enable_external_file_cache", "false") // it takes a file for the one that was there under its name a moment ago
	return options
}

// rewrite copies the database into a new file, which takes its place. What was removed from a database stays in its
// file until something else happens to take the room; in the new file it never was.
func rewrite(s settings) error {
	old, fresh := filepath.Join(s.Folder, databaseFile), filepath.Join(s.Folder, databaseFile+".new")
	if err := errors.Join(os.RemoveAll(fresh), os.RemoveAll(fresh+".wal")); err != nil {
		return err
	}
	connector, err := duckdb.NewConnector(":memory:?"+s.options().Encode(), nil)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	for _, text := range []string{"ATTACH " + quoted(old) + " AS old", "ATTACH " + quoted(fresh) + " AS fresh", "COPY FROM DATABASE old TO fresh", "DETACH fresh", "DETACH old"} {
		if _, err := db.Exec(text); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.RemoveAll(old + ".wal"); err != nil { // it is of the old file, and in the new one already
		return err
	}
	return os.Rename(fresh, old)
}

// quoted is a text as SQL writes it: for the names of our own files, where no question mark may stand.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func (e *engine) prepare(folder string) error {
	ctx := context.Background()
	c, err := e.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer c.Close()
	for name, part := range map[string]func(high, low uint64) uint64{
		"address_high": func(high, _ uint64) uint64 { return high },
		"address_low":  func(_, low uint64) uint64 { return low },
	} {
		if err := registerAddress(c, name, part); err != nil {
			return err
		}
	}
	for _, text := range []string{
		"SET allowed_directories = [" + quoted(folder) + "]",
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if _, err := c.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("prepare the database: %w", err)
		}
	}
	return nil
}

// maxQuestion bounds a question, in bytes.
const maxQuestion = 16 << 20

// ServeHTTP answers a question.
func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+e.secret)) != 1 {
		http.Error(w, "not for you", http.StatusUnauthorized)
		return
	}
	var q question
	if err := gob.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion)).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answered := make(chan struct{})
	go endWhatGoesOn(r.Context(), answered)
	a, err := e.answer(r.Context(), &q)
	close(answered)
	if err != nil {
		a = &answer{Error: err.Error(), Reason: reasonOf(r.Context(), err)}
	}
	_ = gob.NewEncoder(w).Encode(a) // when it fails, whoever asked has gone
	if isEnd(err) {
		os.Exit(4) // the database takes no more questions: the next process does
	}
}

// stopPatience is how long a question may go on that nobody waits for any more.
const stopPatience = 10 * time.Second

// endWhatGoesOn ends the process where a question takes no notice of being given up: the next process answers the others.
func endWhatGoesOn(ctx context.Context, answered <-chan struct{}) {
	select {
	case <-answered:
		return
	case <-ctx.Done():
	}
	select {
	case <-answered:
	case <-time.After(stopPatience):
		fmt.Fprintln(os.Stderr, "a question went on that nobody waited for")
		os.Exit(5)
	}
}

func (e *engine) answer(ctx context.Context, q *question) (*answer, error) {
	if len(q.Statements) == 0 && q.Mode != modeEnd {
		return nil, errors.New("no question")
	}
	switch q.Mode {
	case modeRead:
		if q.Snapshot != "" {
			return e.snapshots.read(ctx, e.db, q)
		}
		rows, err := e.db.QueryContext(ctx, q.Statements[0].SQL, q.Statements[0].Args...)
		if err != nil {
			return nil, err
		}
		return collect(rows, q.Limit, q.most())
	case modeWrite:
		return e.write(ctx, q)
	case modeSQL:
		return e.read(ctx, q)
	case modeEnd:
		e.snapshots.end(q.Snapshot)
		return &answer{}, nil
	}
	return nil, fmt.Errorf("no such mode: %d", q.Mode)
}

// write runs statements in one transaction; the last one may ask for something.
func (e *engine) write(ctx context.Context, q *question) (*answer, error) {
	tx, err := e.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once it is committed
	out := &answer{}
	for i, s := range q.Statements {
		if i == len(q.Statements)-1 && q.Limit > 0 {
			rows, err := tx.QueryContext(ctx, s.SQL, s.Args...)
			if err != nil {
				return nil, err
			}
			if out, err = collect(rows, q.Limit, q.most()); err != nil {
				return nil, err
			}
			break
		}
		if _, err := tx.ExecContext(ctx, s.SQL, s.Args...); err != nil {
			return nil, fmt.Errorf("%s: %w", firstWords(s.SQL), err)
		}
	}
	return out, tx.Commit()
}

func firstWords(text string) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(len(words), 4)], " ")
}

// errWritten tells that what somebody wrote will not be answered.
var errWritten = errors.New("only one question at a time, SELECT or EXPLAIN SELECT: nothing can be changed here")

// How many questions in SQL are answered at once, and how long one may take.
const (
	maxWritten     = 2
	longestWritten = 10 * time.Minute
)

// errBusy tells that others are being answered.
var errBusy = errors.New("others are being answered")

// read answers what an administrator wrote, in a transaction that cannot write.
func (e *engine) read(ctx context.Context, q *question) (*answer, error) {
	select {
	case e.written <- struct{}{}:
		defer func() { <-e.written }()
	default:
		return nil, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, longestWritten)
	defer cancel()
	c, err := e.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := checkWritten(c, q.Statements[0].SQL); err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(ctx, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return nil, err
	}
	defer func() { _, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") }()
	rows, err := c.QueryContext(ctx, q.Statements[0].SQL)
	if err != nil {
		return nil, err
	}
	return collectText(rows, q.Limit)
}

// begins is how a question begins. Others are not even handed to the database: some do things while they are prepared.
var begins = regexp.MustCompile(`(?is)^(\s|--[^\n]*\n|/\*.*?\*/)*(explain\s+(analyze\s+)?(\([^)]*\)\s*)?)?[\s(]*(select|from|with|values|table|describe|desc|show|summarize|pivot|unpivot)\b`)

// does are functions that do something else than answer, or hand a text to the database that might.
var does = regexp.MustCompile(`(?is)\b(enable_logging|disable_logging|truncate_duckdb_logs|checkpoint|force_checkpoint|query|query_table)\b"?(\s|--[^\n]*\n|/\*.*?\*/)*\(`)

// checkWritten lets one SELECT pass, or the EXPLAIN of one. It runs nothing: Prepare refuses several statements, where
// PrepareContext would run all but the last, before the transaction that cannot write.
func checkWritten(c *sql.Conn, text string) error {
	if !begins.MatchString(text) {
		return errWritten
	}
	if call := does.FindStringSubmatch(text); call != nil {
		return fmt.Errorf("%w; the function %s must not be called", errWritten, call[1])
	}
	return c.Raw(func(driverConn any) error {
		prepared, err := driverConn.(*duckdb.Conn).Prepare(text)
		if err != nil && strings.Contains(err.Error(), "multi-statement") {
			return errWritten
		} else if err != nil {
			return err
		}
		defer prepared.Close()
		kind, err := prepared.(*duckdb.Stmt).StatementType()
		if err != nil {
			return err
		}
		if kind != duckdb.STATEMENT_TYPE_SELECT && kind != duckdb.STATEMENT_TYPE_EXPLAIN {
			return errWritten
		}
		return nil
	})
}

// reasonOf sorts errors.
func reasonOf(ctx context.Context, err error) reason {
	var d *duckdb.Error
	switch {
	case ctx.Err() != nil:
		return reasonEnded
	case errors.Is(err, errWritten):
		return reasonWritten
	case errors.Is(err, errBusy):
		return reasonBusy
	case errors.Is(err, context.DeadlineExceeded):
		return reasonTooMuch
	case errors.As(err, &d) && (d.Type == duckdb.ErrorTypeOutOfMemory || d.Type == duckdb.ErrorTypeIO && strings.Contains(d.Msg, "max_temp_directory_size")):
		return reasonTooMuch
	}
	return reasonOther
}

// isEnd tells whether a database that met an error answers no more.
func isEnd(err error) bool {
	var d *duckdb.Error
	return errors.As(err, &d) && (d.Type == duckdb.ErrorTypeFatal || d.Type == duckdb.ErrorTypeInternal)
}
