package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/playmeter/playmeter/bucket"
	"github.com/playmeter/playmeter/intake/logs"
	"github.com/playmeter/playmeter/schemas"
	"github.com/playmeter/playmeter/web"
)

const importLogsHelp = `

With --format access logs are read instead, plain or packed with gzip or zstd: nginx, cloudfront,
cloudfront-json, cloudfront-parquet, ndjson, or a format of the configuration's section "logs".
Each log becomes a usage file below logs/FORMAT/. A log that is imported again,
or has grown since, counts once. With --check logs are read and nothing is put.`

// importingLogs is what an import of logs was asked for.
type importingLogs struct {
	format    string
	tenant    schemas.Tenant
	node      string
	playlists string
}

func (o *importingLogs) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.format, "format", "", "read access logs of this `FORMAT`: "+strings.Join(logs.Presets(), ", ")+", or one of the configuration")
	f.Var(&textFlag{kind: "TENANT", set: func(s string) (err error) { o.tenant, err = schemas.ParseTenant(s); return err }}, "tenant", "of logs: whose usage it is, where they do not say")
	f.StringVar(&o.node, "node", "", "of logs: the `NODE` that wrote them, instead of what they say")
	f.StringVar(&o.playlists, "playlists", "", "of logs: take the lengths of segments from the playlists (.m3u8, .mpd) below `DIR`, whose paths are those of URLs")
}

// given tells whether a flag was used that is for logs alone.
func (o *importingLogs) given() bool { return o.tenant != "" || o.node != "" || o.playlists != "" }

// importedLog is what one log came to.
type importedLog struct {
	Log string `json:"log"`
	Key string `json:"key,omitempty"` // empty where it has no events
	logs.Summary
}

// importedLogs is what an import of logs came to.
type importedLogs struct {
	Put      []string          `json:"put"`
	Same     []string          `json:"same"`
	Rejected map[string]string `json:"rejected,omitempty"`
	Logs     []importedLog     `json:"logs"`
	Lists    int               `json:"playlists,omitempty"`
	BadLists map[string]string `json:"bad_playlists,omitempty"`
	Bytes    int64             `json:"bytes"`
	checked  bool
}

// logImport is the work of an import of logs.
type logImport struct {
	asked   importing
	format  logs.Format
	options logs.Options
	usage   *bucket.Bucket // nil: it is a check
	scratch string
	done    *importedLogs
	p       *progress

	read, total int64 // bytes of the logs
}

// importLogs turns each log into a usage file.
func (a *app) importLogs(ctx context.Context, o importing, args []string) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	w := &logImport{asked: o, p: a.progress(), done: &importedLogs{Put: []string{}, Same: []string{}, Rejected: map[string]string{}, checked: o.check}}
	defer w.p.end()
	if w.format, err = config.logFormat(o.logs.format); err != nil {
		return err
	}
	w.options = logs.Options{Tenant: o.logs.tenant, Node: o.logs.node}
	found, err := findLogs(args)
	if err != nil {
		return err
	}
	if err := w.readPlaylists(ctx); err != nil {
		return err
	}
	if w.scratch, err = os.MkdirTemp("", "playmeter-import-"); err != nil {
		return err
	}
	defer os.RemoveAll(w.scratch)
	if !o.check {
		s, err := a.open(ctx, toWrite)
		if err != nil {
			return err
		}
		defer s.close()
		w.usage = s.reporter.Buckets.Usage
	}
	if err := w.all(ctx, found); err != nil {
		return err
	}
	w.p.end()
	return a.tellLogs(w.done)
}

// findLogs lists the logs that paths name; of a folder all files, those apart whose names begin with a dot.
func findLogs(paths []string) (found []localFile, err error) {
	for _, p := range paths {
		root, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(root)
		if err != nil {
			return nil, usagef("import: %w", err)
		}
		if !info.IsDir() {
			found = append(found, localFile{root, root, info.Size()})
			continue
		}
		err = walk(root, func(file, key string, size int64) error {
			if !strings.HasPrefix(filepath.Base(file), ".") {
				found = append(found, localFile{file, file, size})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// readPlaylists reads the folder of --playlists.
func (w *logImport) readPlaylists(ctx context.Context) error {
	dir := w.asked.logs.playlists
	if dir == "" {
		return nil
	}
	if info, err := os.Stat(dir); err != nil {
		return usagef("--playlists: %w", err)
	} else if !info.IsDir() {
		return usagef("--playlists %s: is no folder", dir)
	}
	lists, err := logs.ReadPlaylists(ctx, os.DirFS(dir))
	if err != nil {
		return fmt.Errorf("read the playlists below %s: %w", dir, err)
	}
	w.options.Playlists = lists
	w.done.Lists = lists.Read
	for _, name := range slices.Sorted(maps.Keys(lists.Skipped)) {
		if w.done.BadLists == nil {
			w.done.BadLists = map[string]string{}
		}
		w.done.BadLists[name] = lists.Skipped[name].Error()
	}
	return nil
}

// all converts log by log, and puts what each came to before the next is read.
func (w *logImport) all(ctx context.Context, found []localFile) error {
	for _, f := range found {
		w.total += f.size
	}
	for _, f := range found {
		before := w.read
		err := w.one(ctx, f)
		switch {
		case errors.Is(err, schemas.ErrUnreadable), errors.Is(err, errTaken):
			w.done.Rejected[f.path] = err.Error()
		case err != nil:
			return fmt.Errorf("import %s: %w", f.path, err)
		}
		w.read = before
		w.advance(f.size)
	}
	return nil
}

// advance shows that n bytes more of the logs were read.
func (w *logImport) advance(n int64) {
	w.read += n
	w.p.at("importing", min(w.read, w.total), w.total, "bytes")
}

// metered is a log that tells how far it is read.
type metered struct {
	*os.File
	w *logImport
}

func (m metered) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.File.ReadAt(p, off)
	m.w.advance(int64(n))
	return n, err
}

func (w *logImport) one(ctx context.Context, f localFile) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	digest, err := logs.Digest(in, f.size)
	if err != nil {
		return err
	}
	r, err := logs.Open(&w.format, w.options, f.path, metered{in, w}, f.size)
	if err != nil {
		return err
	}
	defer r.Close()
	made, err := os.Create(filepath.Join(w.scratch, "usage.parquet"))
	if err != nil {
		return err
	}
	defer made.Close()
	sum, err := logs.Convert(ctx, r, made)
	if err != nil {
		return err
	}
	one := importedLog{Log: f.path, Summary: sum}
	if sum.Events > 0 {
		one.Key = filepath.ToSlash(filepath.Join(strings.Trim(w.asked.prefix, "/"), logs.Key(w.format.Name, f.path, digest)))
		if !schemas.IsUsageKey(one.Key) {
			return usagef("--prefix %s: no part of it may begin with \"_\" or \".\"", w.asked.prefix)
		}
	}
	w.done.Logs = append(w.done.Logs, one)
	if one.Key == "" || w.usage == nil {
		return nil
	}
	info, err := made.Stat()
	if err != nil {
		return err
	}
	return w.put(ctx, localFile{made.Name(), one.Key, info.Size()})
}

// errTaken says that another file has the key already.
var errTaken = errors.New("the key holds another content")

// put puts a usage file under a key that is not taken, or takes it over as --replace says.
func (w *logImport) put(ctx context.Context, f localFile) error {
	same, err := there(ctx, w.usage, f)
	switch {
	case errors.Is(err, bucket.ErrNotExist):
	case err != nil:
		return err
	case same:
		w.done.Same = append(w.done.Same, f.key)
		return nil
	case !w.asked.replace:
		return fmt.Errorf("%w: %s was made of the same log with other settings; --replace replaces it, and the next run counts the new content instead", errTaken, f.key)
	}
	if err := putFile(ctx, w.usage, f); err != nil {
		return err
	}
	w.done.Put = append(w.done.Put, f.key)
	w.done.Bytes += f.size
	return nil
}

// tellLogs tells what an import, or a check, came to.
func (a *app) tellLogs(d *importedLogs) error {
	var all logs.Summary
	for i := range d.Logs {
		all.Add(&d.Logs[i].Summary)
	}
	if a.json {
		if err := a.printJSON(d); err != nil {
			return err
		}
	} else if err := a.sayLogs(d, &all); err != nil {
		return err
	}
	if len(d.Rejected) > 0 || len(d.BadLists) > 0 || all.BadLines() > 0 {
		return errAside
	}
	return nil
}

func (a *app) sayLogs(d *importedLogs, all *logs.Summary) error {
	for _, name := range slices.Sorted(maps.Keys(d.BadLists)) {
		a.say("playlist left out: %s: %s", printable(name), printable(d.BadLists[name]))
	}
	for _, path := range slices.Sorted(maps.Keys(d.Rejected)) {
		a.say("left out: %s: %s", printable(path), printable(d.Rejected[path]))
	}
	for _, l := range d.Logs {
		for _, bad := range l.Bad {
			a.say("%s:%d: %s: %s", printable(l.Log), bad.Line, bad.Reason, reasonWords[bad.Reason])
		}
	}
	if d.checked {
		if err := logTable(d, all).write(a.out); err != nil {
			return err
		}
	}
	a.say("%s lines of %s: %s events, %s s of video, %s s of audio", humanize.Comma(all.Lines), files(len(d.Logs)), humanize.Comma(all.Events),
		secondsOf(all.Micros["video"]+all.Micros["muxed"]), secondsOf(all.Micros["audio"]))
	for _, why := range all.Reasons() {
		a.say("skipped: %s %s: %s", humanize.Comma(all.Skipped[why]), why, reasonWords[why])
	}
	if all.NoLength > 0 {
		a.say("%s segments have no length, so they bring no seconds: let players send CMCD with d, or give --playlists", humanize.Comma(all.NoLength))
	}
	if d.checked {
		return nil
	}
	a.say("%s put (%s), %d there already", files(len(d.Put)), web.Bytes(d.Bytes), len(d.Same))
	if len(d.Put) > 0 {
		a.say("To count them:\n  %s run%s", program(), a.flagsFor())
	}
	return nil
}

// logTable shows what each log would become.
func logTable(d *importedLogs, all *logs.Summary) *table {
	t := &table{head: []string{"LOG", "LINES", "EVENTS", "VIDEO S", "AUDIO S", "SEGMENTS", "NO LENGTH", "SKIPPED", "BAD"},
		right: []string{"LINES", "EVENTS", "VIDEO S", "AUDIO S", "SEGMENTS", "NO LENGTH", "SKIPPED", "BAD"}, most: 60}
	row := func(name string, s *logs.Summary) {
		t.add(name, s.Lines, s.Events, secondsOf(s.Micros["video"]+s.Micros["muxed"]), secondsOf(s.Micros["audio"]), s.Segments, s.NoLength,
			s.Lines-s.Events-s.BadLines(), s.BadLines())
	}
	for i := range d.Logs {
		row(filepath.Base(d.Logs[i].Log), &d.Logs[i].Summary)
	}
	if len(d.Logs) > 1 {
		row("all", all)
	}
	return t
}

// secondsOf writes microseconds as seconds, exactly.
func secondsOf(micros int64) string {
	s := fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// reasonWords says what to make of lines that became no event.
var reasonWords = map[logs.Reason]string{
	logs.NotMedia:       "no playlist, segment or key, and no pattern of the format says otherwise",
	logs.Method:         "neither GET nor HEAD",
	logs.Excluded:       "a pattern of the format says to skip them",
	logs.BadLine:        "cannot be read as a line of this format",
	logs.BadTime:        "has no time that can be read",
	logs.BadValue:       "its bytes or status are no numbers",
	logs.NoObject:       "nothing names the object: let the player send a content id (CMCD's cid), or write a pattern under logs: with the group object",
	logs.NoTenant:       "nothing names the tenant: give --tenant",
	logs.BadTenant:      "its tenant is no tenant id",
	logs.NoNode:         "nothing names the node: give --node",
	logs.IDTooLong:      "an id is longer than 1,024 bytes",
	logs.ObjectIsTenant: "its object has the id of its tenant",
}
