//go:build linux && amd64

package dap_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

func TestConfigMistakesAreJoined(t *testing.T) {
	_, err := dap.NewServer(dap.Config{Linger: -1, WriteTimeout: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"NewSession", "Linger", "WriteTimeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
}

// settled waits until no more than n goroutines run.
func settled(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > n {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), n, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond) // a poll of the condition above, not a wait for luck
	}
}

// serveAll serves every connection of ln until ctx is done.
func serveAll(ctx context.Context, srv *dap.Server, ln net.Listener) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		nc, err := ln.Accept()
		if err != nil {
			return nil
		}
		conns.Go(func() { _ = srv.ServeConn(ctx, nc, access.Identity{Role: access.Mutate}) })
	}
}

func TestServeEndsWithItsContextAndLeaksNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	busy := false
	fake := newFake()
	srv, err := dap.NewServer(dap.Config{
		Linger: 100 * time.Millisecond,
		NewSession: func(access.Identity) (dap.Session, error) {
			if busy {
				return nil, session.ErrBusy
			}
			busy = true
			return fake, nil
		},
	})
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serveAll(ctx, srv, ln) }()

	first, err := daptest.Dial(ln.Addr().String())
	must(t, err)
	must(t, first.Session(""))
	second, err := daptest.Dial(ln.Addr().String())
	must(t, err)
	if e := failure(t, second.Session("")); e.ID != 1104 {
		t.Errorf("second IDE: %+v", e)
	}
	silent, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)

	cancel()
	if _, err := first.WaitEvent("terminated"); err != nil {
		t.Error(err)
	}
	select {
	case err := <-served:
		must(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("not every ServeConn returned")
	}
	waitFor(t, "Close", fake.closed)
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("still listening")
	}
	first.Close()
	second.Close()
	silent.Close()
	settled(t, before)
}

func TestStdio(t *testing.T) {
	before := runtime.NumGoroutine()
	srv, err := dap.NewServer(dap.Config{
		Linger:     100 * time.Millisecond,
		NewSession: func(access.Identity) (dap.Session, error) { return newFake(), nil },
	})
	must(t, err)
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	end := make(chan error, 1)
	go func() {
		end <- srv.ServeConn(context.Background(), dap.Stdio(inR, outW), access.Identity{Role: access.Mutate})
	}()
	c := daptest.New(struct {
		io.Reader
		io.WriteCloser
	}{outR, inW})
	must(t, c.Session(""))
	must(t, c.Disconnect())
	// ServeConn returns although nobody closed standard input.
	select {
	case err := <-end:
		must(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("ServeConn did not return after disconnect")
	}
	inW.Close()
	outW.Close()
	<-c.Done()
	settled(t, before)
}

// What a Stdio was given last reaches a slow reader before Close returns.
func TestStdioFlushes(t *testing.T) {
	inR, _ := io.Pipe()
	outR, outW := io.Pipe()
	conn := dap.Stdio(inR, outW)
	got := make(chan string)
	go func() {
		line, _ := bufio.NewReader(outR).ReadString('\n')
		got <- line
	}()
	_, err := conn.Write([]byte("last words\n"))
	must(t, err)
	must(t, conn.Close())
	select {
	case line := <-got:
		if line != "last words\n" {
			t.Errorf("got %q", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("lost")
	}
	inR.Close()
}
