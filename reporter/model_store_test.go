package reporter

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playmeter/playmeter/bucket"
)

// memoryStore is an object store in memory. It speaks as much S3 as package bucket asks for, and
// answers in a tenth of the time that a store takes which syncs: so that thousands of
// histories can be played. Some are played on the embedded store too.
type memoryStore struct {
	mu      sync.Mutex
	objects map[string]map[string]*memoryObject // by bucket and key
	ahead   map[string]time.Duration            // by what bucket names begin with: how far the clock of a site has been put forward
}

type memoryObject struct {
	data     []byte
	etag     string
	crc      string
	modified time.Time
}

// newMemoryStore starts a store that ends with the test.
func newMemoryStore(t testing.TB) (*memoryStore, *bucket.Store) {
	t.Helper()
	m := &memoryStore{objects: make(map[string]map[string]*memoryObject), ahead: make(map[string]time.Duration)}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	store, err := bucket.Dial(context.Background(), bucket.Config{Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return m, store
}

// tick puts the clock of a site forward by a second: stores tell times to the second.
func (m *memoryStore) tick(site string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead[site] += time.Second
}

// forget removes a site.
func (m *memoryStore) forget(site string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.ahead, site)
	for name := range m.objects {
		if strings.HasPrefix(name, site) {
			delete(m.objects, name)
		}
	}
}

// ServeHTTP answers one request.
func (m *memoryStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if name == "" {
		return // the time is asked for
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	objects := m.objects[name]
	if objects == nil {
		objects = make(map[string]*memoryObject)
		m.objects[name] = objects
	}
	switch {
	case key == "" && r.Method == http.MethodGet:
		list(w, objects, r.URL.Query())
	case key == "":
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		m.copy(w, r, name, key)
	case r.Method == http.MethodPut:
		if r.Header.Get("If-None-Match") == "*" && objects[key] != nil {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		sum := md5.Sum(body)
		o := &memoryObject{body, hex.EncodeToString(sum[:]), r.Header.Get("X-Amz-Checksum-Crc64nvme"), m.now(name)}
		objects[key] = o
		w.Header().Set("ETag", `"`+o.etag+`"`)
	case r.Method == http.MethodDelete:
		delete(objects, key)
		w.WriteHeader(http.StatusNoContent)
	case objects[key] == nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		o := objects[key]
		w.Header().Set("ETag", `"`+o.etag+`"`)
		w.Header().Set("Content-Type", "application/octet-stream")
		if o.crc != "" && r.Header.Get("Range") == "" {
			w.Header().Set("X-Amz-Checksum-Crc64nvme", o.crc)
		}
		http.ServeContent(w, r, "", o.modified, bytes.NewReader(o.data))
	}
}

// now is the time that a bucket's store tells.
func (m *memoryStore) now(name string) time.Time {
	site, _, _ := strings.Cut(name, "-")
	return time.Now().Add(m.ahead[site+"-"]).Truncate(time.Second)
}

func (m *memoryStore) copy(w http.ResponseWriter, r *http.Request, name, key string) {
	source, err := url.PathUnescape(r.Header.Get("X-Amz-Copy-Source"))
	from, path, _ := strings.Cut(strings.TrimPrefix(source, "/"), "/")
	o := m.objects[from][path]
	switch want := strings.Trim(r.Header.Get("X-Amz-Copy-Source-If-Match"), `"`); {
	case err != nil || o == nil:
		w.WriteHeader(http.StatusNotFound)
	case want != "" && want != o.etag:
		w.WriteHeader(http.StatusPreconditionFailed)
	default:
		made := *o
		made.modified = m.now(name)
		m.objects[name][key] = &made
		fmt.Fprintf(w, `<CopyObjectResult><ETag>"%s"</ETag><LastModified>%s</LastModified></CopyObjectResult>`, made.etag, made.modified.UTC().Format(time.RFC3339))
	}
}

// list answers in one page.
func list(w http.ResponseWriter, objects map[string]*memoryObject, q url.Values) {
	var keys []string
	for key := range objects {
		if strings.HasPrefix(key, q.Get("prefix")) && key > q.Get("start-after") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	fmt.Fprint(w, `<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>`)
	for _, key := range keys {
		o := objects[key]
		fmt.Fprintf(w, `<Contents><Key>%s</Key><ETag>"%s"</ETag><Size>%d</Size><LastModified>%s</LastModified></Contents>`,
			url.QueryEscape(key), o.etag, len(o.data), o.modified.UTC().Format(time.RFC3339))
	}
	fmt.Fprint(w, `</ListBucketResult>`)
}
