package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"
)

// The bounds of what is read of playlists.
const (
	maxPlaylist  = 32 << 20  // bytes of one
	maxPlaylists = 100_000   // files
	maxListed    = 2_000_000 // segments, in all
)

// ErrTooManySegments says that playlists name more segments than are kept.
var ErrTooManySegments = fmt.Errorf("the playlists name more than %d segments: give a folder that holds fewer", maxListed)

// ReadPlaylists reads the playlists (.m3u8, .mpd) below a folder, whose paths in it are those of their URLs.
//
//   - One that cannot be read is passed over and named in Skipped.
//   - Of two that name a segment, the one whose path sorts first counts; what a master playlist says of a
//     rendition goes before what its own playlist says.
//   - Errors: [ErrTooManySegments]; of the folder; ctx's.
func ReadPlaylists(ctx context.Context, dir fs.FS) (*Playlists, error) {
	p := &Playlists{files: map[string]*listed{}, Skipped: map[string]error{}, limit: maxListed}
	var media []string
	names, err := playlistNames(dir)
	if err != nil {
		return nil, err
	}
	// What masters say of renditions must be known before the renditions are read.
	for _, pass := range []func(name string, text []byte) (again bool, err error){p.readFirst, p.readMedia} {
		media = media[:0]
		for _, name := range names {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			again, err := p.readFile(dir, name, pass)
			switch {
			case errors.Is(err, ErrTooManySegments):
				return nil, err
			case err != nil:
				p.Skipped[name] = err
			case again:
				media = append(media, name)
			default:
				p.Read++
			}
		}
		names = slices.Clone(media)
	}
	p.settle()
	return p, nil
}

// playlistNames lists the playlists below a folder; links are followed to files only.
func playlistNames(dir fs.FS) (names []string, err error) {
	err = fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".m3u8", ".m3u", ".mpd":
			names = append(names, name)
		}
		if len(names) > maxPlaylists {
			return fmt.Errorf("there are more than %d playlists: give a folder that holds fewer", maxPlaylists)
		}
		return nil
	})
	return names, err
}

func (p *Playlists) readFile(dir fs.FS, name string, pass func(string, []byte) (bool, error)) (again bool, err error) {
	f, err := dir.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPlaylist+1))
	if err != nil {
		return false, err
	}
	if len(text) > maxPlaylist {
		return false, fmt.Errorf("is larger than %d bytes", maxPlaylist)
	}
	return pass("/"+name, text)
}

// readFirst reads master playlists and DASH manifests, and asks for media playlists again.
func (p *Playlists) readFirst(name string, text []byte) (again bool, err error) {
	if strings.EqualFold(path.Ext(name), ".mpd") {
		return false, p.addMPD(name, text)
	}
	if isMaster(text) {
		return false, p.addMaster(name, text)
	}
	return true, nil
}

func (p *Playlists) readMedia(name string, text []byte) (again bool, err error) {
	return false, p.addMedia(name, text)
}

// at is what is known of a path, to be added to. Errors: ErrTooManySegments.
func (p *Playlists) at(path string) (*listed, error) {
	if l := p.files[path]; l != nil {
		return l, nil
	}
	if p.count++; p.count > p.limit {
		return nil, ErrTooManySegments
	}
	l := &listed{}
	p.files[path] = l
	return l, nil
}

// resolve is the decoded path of a reference that stands in a document at base; empty where it is none.
func resolve(base, reference string) string {
	if len(reference) > 8192 {
		return ""
	}
	u, err := url.Parse(reference)
	if err != nil || u.Opaque != "" {
		return ""
	}
	if u.Host == "" && !strings.HasPrefix(u.Path, "/") {
		if u.Path == "" {
			return base
		}
		slash := strings.HasSuffix(u.Path, "/")
		joined := path.Join(path.Dir(base+"x"), u.Path)
		if slash && joined != "/" {
			joined += "/"
		}
		return joined
	}
	if u.Path == "" {
		return "/"
	}
	return u.Path
}
