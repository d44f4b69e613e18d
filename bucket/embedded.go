package bucket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// EmbeddedConfig says where the embedded store keeps its objects and listens.
type EmbeddedConfig struct {
	// Dir holds everything: objects/, credentials, lock, endpoint. It is made
	// when it is missing, readable by its owner only.
	Dir string
	// Listen is host:port; port 0 is a free one. Empty means 127.0.0.1:0.
	Listen string
	// Accounts are who else may use it, as policies of buckets say. Nil: nobody but the root key.
	Accounts Accounts
	// TLS makes it speak HTTPS, and nothing else. Our own clients trust the certificate by its file.
	TLS TLSFiles

	sync   syncer               // for tests; nil syncs
	staged func(*os.File) error // for tests
	tick   <-chan time.Time     // for tests: when to look at TLS
}

// Embedded is an S3 gateway over a folder, inside this process.
//
// There can be one in a process, and one for a folder. It changes the process's
// working directory to the folder of its objects, because its file backend
// works with relative paths, and back when it is closed: so whoever opens it
// makes his own paths absolute first.
type Embedded struct {
	cfg    Config
	dir    string
	before string // working directory to return to
	lock   *os.File
	stop   context.CancelFunc
	ended  chan error // why the gateway ended, once
	close  func() error
}

// inProcess is true while this process has a gateway.
var inProcess atomic.Bool

// OpenEmbedded starts the store and returns when it answers. It holds until
// Close; ctx is only for the start.
//
// Errors: one that says so when another process has the folder (see [Open]), or
// when this process has a gateway already.
func OpenEmbedded(ctx context.Context, cfg EmbeddedConfig) (*Embedded, error) {
	e, err := openEmbedded(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the object store in %s: %w", cfg.Dir, err)
	}
	return e, nil
}

func openEmbedded(ctx context.Context, cfg EmbeddedConfig) (*Embedded, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if !inProcess.CompareAndSwap(false, true) {
		return nil, errors.New("this process has an embedded store open already, and there can be only one")
	}
	e := &Embedded{dir: dir}
	e.close = sync.OnceValue(e.shutdown)
	if err := e.start(ctx, cfg); err != nil {
		e.release()
		return nil, err
	}
	return e, nil
}

func (e *Embedded) start(ctx context.Context, cfg EmbeddedConfig) error {
	objects := filepath.Join(e.dir, "objects")
	var err error
	if cfg.TLS, err = cfg.TLS.absolute(); err != nil {
		return err
	}
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return err
	}
	if e.lock, err = LockFolder(e.dir); err != nil {
		return err
	}
	key, err := ensureCredentials(e.dir)
	if err != nil {
		return err
	}
	if err := (meta.XattrMeta{}).Test(objects); err != nil {
		return fmt.Errorf("the file system of %s keeps no extended attributes (%w); put data_dir onto ext4, xfs, btrfs, zfs or apfs", objects, err)
	}
	if err := sweep(e.dir, objects, time.Now()); err != nil {
		return fmt.Errorf("clear up after the last run: %w", err)
	}
	if e.before, err = os.Getwd(); err != nil {
		return err
	}
	files, err := newBackend(objects, cfg)
	if err != nil {
		return err
	}
	if err := files.policies.sweep(objects); err != nil {
		return fmt.Errorf("clear up policies after the last run: %w", err)
	}
	if err := files.policies.adopt(ctx, objects, files.Backend); err != nil {
		return err
	}
	return e.serve(ctx, cfg, key, files)
}

func newBackend(objects string, cfg EmbeddedConfig) (*durable, error) {
	opts := posix.PosixOpts{
		ForceNoObjLockFile:  true,   // nobody else writes here: <Dir>/lock sees to that
		CopyObjectThreshold: MaxPut, // 0 would refuse every copy
	}
	opts.SetNewDirPerm(0o700)
	opts.SetNewFilePerm(0o600)
	files, err := posix.New(objects, staged{failed: cfg.staged}, opts)
	if err != nil {
		return nil, err
	}
	onto := syncPath
	if cfg.sync != nil {
		onto = cfg.sync
	}
	p := &policies{dir: filepath.Join(filepath.Dir(objects), "policies"), sync: onto, failed: cfg.staged, known: map[string]*splitPolicy{}}
	return &durable{Backend: files, root: objects, sync: onto, policies: p}, nil
}

// serve runs the gateway and waits until it listens. A free port can be taken
// by another process between our finding it and the gateway's taking it: then
// it is tried again.
func (e *Embedded) serve(ctx context.Context, cfg EmbeddedConfig, key rootKey, files *durable) error {
	listen := cfg.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	for try := 1; ; try++ {
		addr, free, err := address(listen)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", listen, err)
		}
		gw := gatewayConfig(addr, key, cfg.Accounts)
		gw.CertFile, gw.KeyFile = cfg.TLS.Certificate, cfg.TLS.Key
		err = e.run(ctx, gw, files, cfg)
		if err == nil {
			e.cfg = Config{Endpoint: "http://" + reachable(addr), Region: defaultRegion, AccessKey: key.AccessKey, SecretKey: key.SecretKey}
			if !cfg.TLS.None() {
				e.cfg.Endpoint, e.cfg.Certificate = "https://"+reachable(addr), cfg.TLS.Certificate
			}
			return writeEndpoint(e.dir, e.cfg)
		}
		if !free || try == 5 || ctx.Err() != nil {
			return fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
}

func (e *Embedded) run(ctx context.Context, gw *embedgw.Config, files *durable, cfg EmbeddedConfig) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	ready, ended := make(chan struct{}), make(chan error, 1)
	if !cfg.TLS.None() {
		reload := make(chan struct{})
		gw.SigHup = reload
		tick := cfg.tick
		if tick == nil {
			tick = time.Tick(time.Second)
		}
		go cfg.TLS.watch(run, tick, reload)
	}
	gw.S3Options = append(gw.S3Options, s3api.WithOnListen(func() { close(ready) }))
	go func() { ended <- embedgw.RunVersityGW(run, files, gw) }()
	select {
	case <-ready:
		e.stop, e.ended = stop, ended
		return nil
	case err := <-ended:
		stop()
		return err
	case <-ctx.Done():
		stop()
		<-ended
		return ctx.Err()
	}
}

// gatewayConfig keeps the gateway from printing: it is quiet, and given its accounts as a
// service it does not announce whose they are. Its API for administrators stays off.
func gatewayConfig(addr string, key rootKey, others Accounts) *embedgw.Config {
	root := auth.Account{Access: key.AccessKey, Secret: key.SecretKey, Role: auth.RoleAdmin}
	return &embedgw.Config{
		RootUserAccess:    key.AccessKey,
		RootUserSecret:    key.SecretKey,
		Region:            defaultRegion,
		Ports:             []string{addr},
		MaxConnections:    4096,
		MaxRequests:       1024,
		MultipartMaxParts: maxParts,
		Quiet:             true,
		KeepAlive:         true,
		IAMService:        accounts{root, others}, // used as it is: only the gateway's own services are cached
		S3Options:         []s3api.Option{func(s *s3api.S3ApiServer) { s.Router.WithAdmSrv = false }},
	}
}

// address resolves port 0 to a port that is free right now.
func address(listen string) (addr string, free bool, err error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port != "0" {
		return listen, false, err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", false, err
	}
	defer l.Close()
	_, port, err = net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(host, port), true, err
}

// reachable is where a client on this machine finds addr.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// Config is the endpoint and the root key.
func (e *Embedded) Config() Config { return e.cfg }

// Close stops taking requests, waits for those in flight (up to ten seconds),
// and gives the folder back. A second Close gives the same answer.
func (e *Embedded) Close() error { return e.close() }

func (e *Embedded) shutdown() error {
	// First the address goes, so that nobody new is sent here.
	err := os.Remove(endpointPath(e.dir))
	// Go's client keeps connections in reserve that have not carried a request
	// yet; the gateway would wait for one on each until it gives up.
	if t, terr := transportFor(e.cfg, e.cfg.Certificate != ""); terr == nil {
		t.CloseIdleConnections()
	}
	e.stop()
	err = errors.Join(err, <-e.ended)
	if err == nil {
		err = os.Remove(markPath(e.dir))
	}
	e.release()
	if err != nil {
		return fmt.Errorf("close the object store in %s: %w", e.dir, err)
	}
	return nil
}

// release undoes whatever start got done of what outlives the gateway.
func (e *Embedded) release() {
	if e.before != "" {
		_ = os.Chdir(e.before) // it may be gone; then any folder is as good
	}
	if e.lock != nil {
		e.lock.Close()
	}
	inProcess.Store(false)
}
