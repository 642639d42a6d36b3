package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/dlvrpc"
)

const (
	// firstByteTimeout is how long a connection may say nothing at all. Every
	// client speaks first, and at once.
	firstByteTimeout = 10 * time.Second
	// maxSilent is how many connections may be in that state; a further one
	// closes the oldest, so that they neither pile up nor keep a client out.
	maxSilent = 16
	// maxClients is how many may have said what they speak.
	maxClients = 16
)

// frontDoor accepts connections and finds out by their first byte what they
// speak: a DAP message begins with the C of Content-Length, one of JSON-RPC with
// a brace. It reads that byte and no more.
type frontDoor struct {
	dap  *dap.Server
	rpc  *dlvrpc.Server
	log  func(string)
	role access.Role

	mu     sync.Mutex
	silent []net.Conn // the oldest first
}

// serve accepts connections on ln until ctx is done or ln fails, and returns when
// all of them have ended; ln is closed then. It returns nil if ctx ended it.
func (d *frontDoor) serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()

	clients := make(chan struct{}, maxClients)
	for {
		nc, err := ln.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		case err != nil:
			// Out of descriptors, or the peer gave up: neither is a reason to
			// end a debug session. Accept would spin without the pause.
			d.log(fmt.Sprintf("accept: %v", err))
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		d.enter(nc)
		conns.Go(func() { d.open(ctx, nc, clients) })
	}
}

// enter notes a connection that has not said anything.
func (d *frontDoor) enter(nc net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.silent) >= maxSilent {
		d.silent[0].Close()
		d.silent = d.silent[1:]
	}
	d.silent = append(d.silent, nc)
}

// speaks notes that it has.
func (d *frontDoor) speaks(nc net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = slices.DeleteFunc(d.silent, func(other net.Conn) bool { return other == nc })
}

// open serves one connection.
func (d *frontDoor) open(ctx context.Context, nc net.Conn, clients chan struct{}) {
	peer := nc.RemoteAddr()
	first, err := d.firstByte(ctx, nc)
	if err != nil {
		d.log(fmt.Sprintf("connection from %s: closed: it said nothing: %v", peer, err))
		nc.Close()
		return
	}
	speak, name := d.dap.ServeConn, "dap"
	switch first {
	case 'C', 'c':
	case '{':
		speak, name = d.rpc.ServeConn, "json-rpc"
	default:
		d.log(fmt.Sprintf("connection from %s: closed: it begins with %q, which is neither DAP nor JSON-RPC", peer, first))
		nc.Close()
		return
	}
	select {
	case clients <- struct{}{}:
		defer func() { <-clients }()
	default:
		d.log(fmt.Sprintf("%s: refused %s: %d connections already", name, peer, maxClients))
		nc.Close()
		return
	}
	who := access.Identity{Proof: access.ProofNone, From: peer.String(), Role: d.role}
	if err := speak(ctx, &begun{Conn: nc, first: []byte{first}}, who); err != nil {
		d.log(fmt.Sprintf("%s: connection from %s: %v", name, peer, err))
	}
}

// firstByte waits for the first byte of a connection.
func (d *frontDoor) firstByte(ctx context.Context, nc net.Conn) (byte, error) {
	defer d.speaks(nc)
	defer context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })()
	if err := dap.WatchPeer(nc); err != nil {
		d.log(fmt.Sprintf("connection from %s: a peer that is gone may go unnoticed: %v", nc.RemoteAddr(), err))
	}
	if err := nc.SetReadDeadline(time.Now().Add(firstByteTimeout)); err != nil {
		return 0, err
	}
	var b [1]byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return b[0], nc.SetReadDeadline(time.Time{})
}

// begun is a connection whose first bytes were read already. One goroutine reads
// it at a time.
type begun struct {
	net.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) > 0 && len(p) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// CloseWrite lets the peer close first, on connections that can.
func (b *begun) CloseWrite() error {
	if half, ok := b.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
