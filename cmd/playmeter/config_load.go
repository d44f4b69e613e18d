package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// DefaultConfigFile is read where no other is named, if it is there.
const DefaultConfigFile = "playmeter.yaml"

// ConfigChecks are what the packages that do the work say of a text. A nil
// check takes everything.
type ConfigChecks struct {
	Schedule   func(string) error   // of a cron schedule
	Recipient  func(string) error   // of an age or SSH public key
	Recipients func([]string) error // of keys that one file is sealed to
	Reader     func(string) error   // of the name of a reader of the embedded store
}

// LoadConfig reads a configuration: flags over environment over file over
// defaults.
//
//   - The file need not exist unless explicit, which says that the user named it.
//   - Env is as of [os.Environ].
//   - Flags are settings by path, such as "data_dir" or "listen.http"; those
//     that the user did not give are not in it.
//   - Errors: a [*ConfigError] with all mistakes at once; fs.ErrNotExist.
func LoadConfig(path string, explicit bool, env []string, flags map[string]string, checks ConfigChecks) (*Config, error) {
	data, mode, err := readConfigFile(path)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		data, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return parseConfig(configSource{path, mode, data, env, flags}, checks)
}

// configSource is all that a configuration is made of.
type configSource struct {
	path  string
	mode  fs.FileMode
	data  []byte
	env   []string
	flags map[string]string
}

func parseConfig(src configSource, checks ConfigChecks) (*Config, error) {
	c := DefaultConfig()
	n := &notes{file: src.path, places: map[string]place{}}
	d := &configDecoder{notes: n, env: environment(src.env), anchors: map[string]ast.Node{}, referenced: map[string]bool{}}
	d.document(src.data, c)
	c.settle(filepath.Dir(src.path))
	o := overrides{n, c}
	o.environment(d)
	o.flags(src.flags)
	c.check(n, checks)
	if err := n.err(); err != nil {
		return nil, err
	}
	if src.mode&0o004 != 0 && len(d.secrets) > 0 {
		c.warn("%s can be read by others and holds %s: chmod 600 it, or keep the text in the environment and write ${NAME}",
			src.path, strings.Join(d.secrets, " and "))
	}
	return c, nil
}

func (c *Config) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

// maxConfig is the largest file that is read, in bytes.
const maxConfig = 4 << 20

func readConfigFile(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxConfig)
	}
	return data, info.Mode().Perm(), err
}

// settle makes the paths that the file (or nothing) gave relative to the
// file's folder.
func (c *Config) settle(folder string) {
	for _, p := range c.paths() {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(folder, *p)
		}
	}
}

// paths are the settings that name a file or folder.
func (c *Config) paths() []*string {
	all := []*string{&c.DataDir, &c.GeoIP, &c.Listen.TLS.Certificate, &c.Listen.TLS.Key, &c.Intake.NATS.Credentials}
	for i := range c.Sources {
		all = append(all, &c.Sources[i].Playlists)
	}
	return all
}

func environment(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, e := range env {
		if name, value, ok := strings.Cut(e, "="); ok && name != "" {
			m[name] = value
		}
	}
	return m
}

// EnvPrefix begins the names of all our environment variables.
const EnvPrefix = "PLAYMETER_"

// overrides sets settings from outside of the file.
type overrides struct {
	*notes
	c *Config
}

// environment applies PLAYMETER_…, and warns of names that are no setting.
func (o overrides) environment(d *configDecoder) {
	known := map[string]bool{EnvPrefix + "CONFIG": true}
	settings(reflect.ValueOf(o.c).Elem(), "", func(path string, field any) {
		name := EnvPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
		known[name] = true
		if text := d.env[name]; text != "" {
			o.set(path, "environment "+name, field, text)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(d.env)) {
		if strings.HasPrefix(name, EnvPrefix) && !known[name] && !d.referenced[name] {
			o.c.warn("%s is set, but there is no such setting and the configuration does not refer to it", name)
		}
	}
}

// flags applies the flags that the user gave.
func (o overrides) flags(flags map[string]string) {
	done := map[string]bool{}
	settings(reflect.ValueOf(o.c).Elem(), "", func(path string, field any) {
		if text, given := flags[path]; given {
			done[path] = true
			o.set(path, "flag --"+strings.NewReplacer(".", "-", "_", "-").Replace(path), field, text)
		}
	})
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		if !done[path] {
			o.problem("", "cannot happen: a flag sets %s, which is no setting", path)
		}
	}
}

// set replaces a setting; what was wrong with the old value is forgiven.
func (o overrides) set(path, where string, field any, text string) {
	o.notes.problems = slices.DeleteFunc(o.notes.problems, func(p ConfigProblem) bool {
		return p.Key == path || strings.HasPrefix(p.Key, path+".")
	})
	o.places[path] = place{where: where}
	if _, err := setText(field, text); err != nil {
		o.problem(path, "%v", err)
	}
}
