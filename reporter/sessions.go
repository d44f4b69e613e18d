package reporter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strings"

	"github.com/playmeter/playmeter/schemas"
)

// sessionsPart bounds an object of finished sessions.
const sessionsPart = 100_000

// dayStore writes finished sessions to the metering bucket, an object per
// start day (and part), named by the digest of its rows: one that is there
// already is not written again.
type dayStore struct {
	r      *Reporter
	ctx    context.Context
	tenant schemas.Tenant
	period schemas.Period
	run    string
	known  map[string]string // names of the commit before, by what they begin with

	day     schemas.Day
	part    int
	rows    [][]byte
	arena   []byte
	sum     hash.Hash
	objects []schemas.SessionObject
}

// add takes the next session in the order of the report.
func (d *dayStore) add(s *schemas.Session, encoded []byte) error {
	day := schemas.DayOf(s.Start)
	if len(d.rows) > 0 && (day != d.day || len(d.rows) >= sessionsPart) {
		if err := d.store(); err != nil {
			return err
		}
	}
	if day != d.day {
		d.day, d.part = day, 0
	}
	if len(d.rows) == 0 {
		d.sum = sha256.New()
	}
	at := len(d.arena)
	d.arena = append(d.arena, encoded...)
	d.rows = append(d.rows, d.arena[at:len(d.arena):len(d.arena)])
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(encoded)))
	d.sum.Write(length[:])
	d.sum.Write(encoded)
	return nil
}

// stored finds the object of the commit before that holds the same rows and is still there.
func (d *dayStore) stored(name string) (string, bool) {
	old, ok := d.known[withoutRun(name)]
	if !ok {
		return "", false
	}
	_, err := d.r.Buckets.Metering.Stat(d.ctx, old)
	return old, err == nil
}

// withoutRun is the name of an object of sessions up to the run that wrote it.
func withoutRun(name string) string {
	digest := strings.IndexByte(name[strings.LastIndexByte(name, '/')+1:], '-')
	at := strings.LastIndexByte(name, '/') + 1 + digest + 1
	if end := strings.IndexByte(name[at:], '-'); digest >= 0 && end >= 0 {
		return name[:at+end]
	}
	return name
}

// store writes the rows collected so far as an object.
func (d *dayStore) store() error {
	if len(d.rows) == 0 {
		return nil
	}
	d.part++
	name := schemas.SessionsName(d.tenant, d.period, d.day, d.part, hex.EncodeToString(d.sum.Sum(nil)[:16]), d.run)
	if old, ok := d.stored(name); ok {
		name = old
	} else {
		var file bytes.Buffer
		w := schemas.NewSessionFileWriter(&file)
		var s schemas.Session
		for _, row := range d.rows {
			if err := schemas.DecodeSession(row, &s); err != nil {
				return err
			}
			if err := w.Write(&s); err != nil {
				return err
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
		if _, err := d.r.Buckets.Metering.PutBytes(d.ctx, name, file.Bytes()); err != nil {
			return err
		}
	}
	d.objects = append(d.objects, schemas.SessionObject{Day: d.day.String(), Name: name, Rows: int64(len(d.rows))})
	d.rows, d.arena = d.rows[:0], d.arena[:0]
	return nil
}
