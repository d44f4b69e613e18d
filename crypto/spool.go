package crypto

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A Spool is a temporary file for what is too large for memory. It is encrypted
// (AES-256-CTR) under a key that is in memory only, and has no name: when the
// process ends, however it ends, nothing readable is left.
//
// It keeps secrets, not integrity: who can write to the disk while the process
// runs could change it. What must be sure of its bytes checks them.
//
// Write is for one goroutine at a time; ReadAt may run in any number of
// goroutines, also while Write does, for what was written before.
type Spool struct {
	f     *os.File
	block cipher.Block

	mu   sync.Mutex // guards size, and that writes come one after the other
	size int64
	buf  []byte // ciphertext on its way out
}

// spoolBuffer is how much is encrypted at a time, in bytes: a multiple of AES's block.
const spoolBuffer = 64 << 10

// NewSpool makes an empty spool in dir; empty means the system's folder for
// temporary files.
func NewSpool(dir string) (*Spool, error) {
	f, err := os.CreateTemp(dir, ".playmeter-spool-*") // created 0600
	if err != nil {
		return nil, fmt.Errorf("make a spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("make a spool file: %w", err)
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails: it ends the process instead
	block, err := aes.NewCipher(key)
	clear(key)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make a spool file: %w", err)
	}
	return &Spool{f: f, block: block}, nil
}

// stream is the key stream from a byte position on. Every spool has its own
// key, so the counter begins at zero and no position is ever used twice.
func (s *Spool) stream(off int64) cipher.Stream {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[8:], uint64(off/aes.BlockSize))
	c := cipher.NewCTR(s.block, iv[:])
	if skip := off % aes.BlockSize; skip > 0 {
		var pad [aes.BlockSize]byte
		c.XORKeyStream(pad[:skip], pad[:skip])
	}
	return c
}

// Write appends p.
func (s *Spool) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buf == nil {
		s.buf = make([]byte, spoolBuffer)
	}
	written := 0
	c := s.stream(s.size)
	for len(p) > 0 {
		n := copy(s.buf, p)
		c.XORKeyStream(s.buf[:n], p[:n])
		if _, err := s.f.WriteAt(s.buf[:n], s.size); err != nil {
			return written, fmt.Errorf("write a spool file: %w", err)
		}
		s.size += int64(n)
		written += n
		p = p[n:]
	}
	return written, nil
}

// Size is how many bytes were written.
func (s *Spool) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// ReadAt is io.ReaderAt's.
func (s *Spool) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read a spool file: negative offset")
	}
	size := s.Size()
	if off >= size {
		return 0, io.EOF
	}
	var end error
	if rest := size - off; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	n, err := s.f.ReadAt(p, off)
	s.stream(off).XORKeyStream(p[:n], p[:n])
	if err != nil {
		return n, fmt.Errorf("read a spool file: %w", unexpected(err))
	}
	return n, end
}

// The file cannot be shorter than what was written to it.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Reader reads from the start to what is the end by then, buffered. Any number
// of readers can be open.
func (s *Spool) Reader() io.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(s, 0, 1<<63-1), spoolBuffer)
}

// Close gives the disk space back. Nothing can be read afterwards.
func (s *Spool) Close() error { return s.f.Close() }
