package schemas

import (
	"fmt"
	"io"
	"sync"
)

// source is the io.ReaderAt of a file. It remembers how it failed, so that a
// lost connection is not taken for a damaged file, whatever a decoder in between makes
// of the error.
type source struct {
	r    io.ReaderAt
	size int64

	mu  sync.Mutex
	err error
}

// ReadAt reads within the file's size.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > s.size {
		return 0, fmt.Errorf("offset %d is outside of the file's %d bytes", off, s.size)
	}
	n := min(int64(len(p)), s.size-off)
	got, err := s.r.ReadAt(p[:n], off)
	if int64(got) == n {
		err = nil
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
		return got, err
	}
	if got < len(p) {
		return got, io.ErrUnexpectedEOF
	}
	return got, nil
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
