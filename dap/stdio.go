//go:build linux && amd64

package dap

import (
	"io"
	"sync"
	"time"
)

// flushTime is how long Close of a Stdio waits for what was written last to
// reach the peer.
const flushTime = time.Second

// Stdio makes one connection of a process's standard input and output. Close
// on a terminal or an inherited pipe does not end a blocked Read, so two
// goroutines copy through pipes that it does end. The one that reads in stays
// until in ends; a process that serves stdio is about to exit then anyway.
func Stdio(in io.Reader, out io.Writer) io.ReadWriteCloser {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	s := &stdio{r: inR, w: outW, flushed: make(chan struct{})}
	go func() {
		_, err := io.Copy(inW, in)
		inW.CloseWithError(err) // nil is io.EOF
	}()
	go func() {
		defer close(s.flushed)
		_, err := io.Copy(out, outR)
		outR.CloseWithError(err)
	}()
	return s
}

type stdio struct {
	r       *io.PipeReader
	w       *io.PipeWriter
	flushed chan struct{}
	once    sync.Once
}

func (s *stdio) Read(p []byte) (int, error)  { return s.r.Read(p) }
func (s *stdio) Write(p []byte) (int, error) { return s.w.Write(p) }

func (s *stdio) Close() error {
	s.once.Do(func() {
		s.r.Close()
		s.w.Close()
		timer := time.NewTimer(flushTime)
		defer timer.Stop()
		select {
		case <-s.flushed:
		case <-timer.C:
		}
	})
	return nil
}
