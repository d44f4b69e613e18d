package crypto

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func newReaders(t testing.TB) (*Readers, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	return OpenReaders(dir), dir
}

func addReader(t testing.TB, r *Readers, name string) Secret {
	t.Helper()
	secret, err := r.Add(name, signTime)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// wantSecret checks what a reader's secret is; empty: there is no such reader.
func wantSecret(t testing.TB, r *Readers, name string, want Secret) {
	t.Helper()
	got, ok, err := r.Secret(name)
	if err != nil || ok != (want != "") || got.Reveal() != want.Reveal() {
		t.Errorf("the secret of %s is the one wanted: %v; there: %v, %v", name, got.Reveal() == want.Reveal(), ok, err)
	}
}

func TestAReaderIsAddedRotatedAndRemoved(t *testing.T) {
	r, dir := newReaders(t)
	if all, err := r.List(); err != nil || len(all) != 0 {
		t.Errorf("before the first there are %v, %v", all, err)
	}
	wantSecret(t, r, "billing", "")
	first := addReader(t, r, "billing")
	other := addReader(t, r, "auditor.of-2026")
	if len(first) != 40 || first == other {
		t.Errorf("secrets of %d characters, the same: %v", len(first), first == other)
	}
	wantSecret(t, r, "billing", first)
	wantSecret(t, r, "auditor.of-2026", other)
	wantSecret(t, r, "Billing", "")
	if _, err := r.Add("billing", signTime); !errors.Is(err, ErrReaderExists) {
		t.Errorf("added twice: %v", err)
	}
	wantSecret(t, r, "billing", first)
	second, err := r.Rotate("billing", signTime.Add(time.Hour))
	if err != nil || second == first {
		t.Errorf("rotated to another: %v, %v", second != first, err)
	}
	wantSecret(t, r, "billing", second)
	all, err := r.List()
	want := []Reader{{Name: "auditor.of-2026", Created: signTime.UTC()}, {Name: "billing", Created: signTime.UTC(), Rotated: signTime.Add(time.Hour).UTC()}}
	if err != nil || fmt.Sprint(all) != fmt.Sprint(want) {
		t.Errorf("there are %v, %v; want %v", all, err, want)
	}
	if err := r.Remove("billing"); err != nil {
		t.Error(err)
	}
	wantSecret(t, r, "billing", "")
	wantSecret(t, r, "auditor.of-2026", other)
	for name, err := range map[string]error{"remove": r.Remove("billing"), "rotate": errorOf(r.Rotate("billing", signTime))} {
		if !errors.Is(err, ErrReaderUnknown) || !strings.Contains(err.Error(), "billing") {
			t.Errorf("%s of one that is gone: %v", name, err)
		}
	}
	wantFiles(t, dir, "readers readers.key")
	for _, name := range []string{"readers", "readers.key"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestNamesOfReaders(t *testing.T) {
	r, _ := newReaders(t)
	for _, name := range []string{"abc", "A.b-c_9", "0aa", strings.Repeat("a", 64), "asia-billing"} {
		addReader(t, r, name)
	}
	for _, name := range []string{"", "ab", strings.Repeat("a", 65), ".abc", "-abc", "_abc", "a/bc", "a bc", "a=bc", "abc\n", "äbc", "*", "ASIA-billing", "arn:aws:iam:::user/x"} {
		if _, err := r.Add(name, signTime); err == nil || !strings.HasPrefix(err.Error(), "reader ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What is at rest is sealed, and opens only in its own place.
func TestSecretsOfReadersAreSealed(t *testing.T) {
	r, dir := newReaders(t)
	a, b := addReader(t, r, "aaa"), addReader(t, r, "bbb")
	path := filepath.Join(dir, "readers")
	data, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(data), a.Reveal()) || strings.Contains(string(data), b.Reveal()) {
		t.Fatalf("the file holds a secret, or: %v", err)
	}
	var list readerList
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	write := func(list readerList) {
		t.Helper()
		data, err := json.Marshal(list)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	damaged := func(name string, change func(rows []storedReader)) {
		t.Helper()
		rows := make([]storedReader, len(list.Readers))
		for i, row := range list.Readers {
			rows[i] = storedReader{row.Reader, append([]byte(nil), row.Sealed...)}
		}
		change(rows)
		write(readerList{list.Schema, rows})
		if secret, ok, err := r.Secret("aaa"); err == nil || ok || secret != "" || !strings.Contains(err.Error(), "do not belong together") {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	damaged("another's secret", func(rows []storedReader) { rows[0].Sealed = rows[1].Sealed })
	damaged("the last bit", func(rows []storedReader) { rows[0].Sealed[len(rows[0].Sealed)-1] ^= 1 })
	damaged("the first bit", func(rows []storedReader) { rows[0].Sealed[0] ^= 1 })
	damaged("cut short", func(rows []storedReader) { rows[0].Sealed = rows[0].Sealed[:5] })
	damaged("none", func(rows []storedReader) { rows[0].Sealed = nil })
	write(list)
	wantSecret(t, r, "aaa", a)
}

func TestFilesOfReadersThatAreDamagedAreNeverReplacedInSilence(t *testing.T) {
	for file, texts := range map[string]map[string]string{
		"readers": {"": "not what was written there", "{": "not what was written there", `{"schema":"playmeter.readers/2"}`: "this version reads",
			`{"schema":"playmeter.readers/1","readers":[{"name":"bbb"},{"name":"aaa"}]}`: "order of their names",
			`{"schema":"playmeter.readers/1","readers":[{"name":"bbb"},{"name":"bbb"}]}`: "each once"},
		"readers.key": {"": "no key of 64 hex digits", "00": "no key of 64 hex digits", strings.Repeat("00", 32): "do not belong together"},
	} {
		for text, want := range texts {
			r, dir := newReaders(t)
			secret := addReader(t, r, "billing")
			path := filepath.Join(dir, file)
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, ok, err := r.Secret("billing"); err == nil || ok || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %q: %v", file, text, err)
			}
			if want != "do not belong together" { // then another reader can be added
				if _, err := r.Add("another", signTime); err == nil {
					t.Errorf("%s %q: another was added", file, text)
				}
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			wantSecret(t, r, "billing", secret)
		}
	}
	r, dir := newReaders(t)
	secret := addReader(t, r, "billing")
	key := filepath.Join(dir, "readers.key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Secret("billing"); err == nil || !strings.Contains(err.Error(), "is missing: restore it") {
		t.Errorf("without the key: %v", err)
	}
	if _, err := r.Add("another", signTime); err == nil || !strings.Contains(err.Error(), "is missing: restore it") {
		t.Errorf("added without the key: %v", err)
	}
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, r, "billing", secret)
}

// What one process changes another sees with its next question, however fast it
// goes: also where the new file has the size, the time and even the number of the old one.
func TestAnotherProcessSeesAChangeAtOnce(t *testing.T) {
	command, dir := newReaders(t)
	daemon := OpenReaders(dir)
	wantSecret(t, daemon, "billing", "")
	secret := addReader(t, command, "billing")
	wantSecret(t, daemon, "billing", secret)
	path := filepath.Join(dir, "readers")
	for range 100 {
		if _, err := command.Rotate("billing", signTime); err != nil { // frees the number for the next one
			t.Fatal(err)
		}
		next, err := command.Rotate("billing", signTime)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, signTime, signTime); err != nil {
			t.Fatal(err)
		}
		wantSecret(t, daemon, "billing", next)
	}
	if err := command.Remove("billing"); err != nil {
		t.Fatal(err)
	}
	wantSecret(t, daemon, "billing", "")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if all, err := daemon.List(); err != nil || len(all) != 0 {
		t.Errorf("without a folder there are %v, %v", all, err)
	}
}

func TestManyProcessesAddReadersAtTheSameTime(t *testing.T) {
	_, dir := newReaders(t)
	var wg sync.WaitGroup
	secrets := make([]Secret, 8)
	for i := range secrets {
		wg.Go(func() {
			own := OpenReaders(dir) // as a process of its own has it
			secret, err := own.Add(fmt.Sprintf("reader-%d", i), signTime)
			if err != nil {
				t.Error(err)
			}
			secrets[i] = secret
		})
	}
	wg.Wait()
	for i, secret := range secrets {
		wantSecret(t, OpenReaders(dir), fmt.Sprintf("reader-%d", i), secret)
	}
}

func TestThereCanOnlyBeSoManyReaders(t *testing.T) {
	r, dir := newReaders(t)
	addReader(t, r, "zzz")
	list, err := r.list.load()
	if err != nil {
		t.Fatal(err)
	}
	full := readerList{Schema: list.Schema}
	for i := range MaxReaders - 2 {
		row := list.Readers[0]
		row.Name = fmt.Sprintf("%s-%05d", strings.Repeat("r", 58), i) // as long as names can be
		row.Rotated = signTime
		full.Readers = append(full.Readers, row)
	}
	full.Readers = append(full.Readers, list.Readers[0])
	data, err := json.MarshalIndent(full, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "readers"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	last := addReader(t, r, "aaa")
	if _, err := r.Add("bbb", signTime); err == nil || !strings.Contains(err.Error(), "no more can be") {
		t.Errorf("one more: %v", err)
	}
	wantSecret(t, r, "aaa", last)
	if err := r.Remove("zzz"); err != nil {
		t.Fatal(err)
	}
	addReader(t, r, "bbb")
}

func TestAFileThatIsTooLargeIsNotRead(t *testing.T) {
	r, dir := newReaders(t)
	addReader(t, r, "billing")
	if err := os.Truncate(filepath.Join(dir, "readers"), maxReadersFile+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Secret("billing"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("read: %v", err)
	}
}

// BenchmarkReaderSecret is what each request of a reader pays.
func BenchmarkReaderSecret(b *testing.B) {
	r, _ := newReaders(b)
	addReader(b, r, "billing")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := r.Secret("billing"); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
