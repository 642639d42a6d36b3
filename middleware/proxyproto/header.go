package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	haproxy "github.com/pires/go-proxyproto"
)

// The numbers of sections 2.1 and 2.2 of the standard.
const (
	maxV1     = 107             // with "\r\n"
	v2Prefix  = 16              // signature, version and command, family, length
	maxV2     = v2Prefix + 4096 // the standard allows 64 KiB; go-proxyproto reads this much
	v2Local   = 0x20
	v2Proxy   = 0x21
	v2Unspec  = 0x00
	v2Stream  = 0x01
	v2Dgram   = 0x02
	v2Command = 12
	v2Family  = 13
	v2Length  = 14
)

// read takes the header off c, which is a trusted proxy's, and returns the
// connection without it. It reads no further than what has come with the header.
func read(c net.Conn, timeout time.Duration) (net.Conn, error) {
	if err := c.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(c, maxV2)
	header, err := whole(br)
	if err != nil {
		return nil, fmt.Errorf("no header: %w", err)
	}
	remote, err := parse(header, c.RemoteAddr())
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if _, err := br.Discard(len(header)); err != nil {
		return nil, err
	}
	rest, _ := br.Peek(br.Buffered())
	// A server sets deadlines of its own when it needs them.
	return &conn{Conn: c, remote: remote, rest: bytes.Clone(rest)}, c.SetReadDeadline(time.Time{})
}

// whole waits until the header has come, in however many packets, and returns
// it. It is still in br. (go-proxyproto refuses a version 1 header that comes in
// two packets, and would wait in RemoteAddr, where servers do not expect it.)
func whole(br *bufio.Reader) ([]byte, error) {
	for need := 1; ; {
		if _, err := br.Peek(need); err != nil {
			if errors.Is(err, io.EOF) && br.Buffered() > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		b, _ := br.Peek(br.Buffered())
		size, err := length(b)
		if err != nil || size > 0 && size <= len(b) {
			return b[:size], err
		}
		need = max(size, len(b)+1)
	}
}

// length is how long the header at the start of b is; 0: more of b is needed to
// know. What is no header is an error with length 0.
func length(b []byte) (int, error) {
	v1 := append(bytes.Clone(haproxy.SIGV1), ' ')
	switch {
	case begins(b, haproxy.SIGV2):
		if len(b) < v2Prefix {
			return 0, nil
		}
		size := v2Prefix + int(binary.BigEndian.Uint16(b[v2Length:]))
		if size > maxV2 {
			return 0, fmt.Errorf("%d bytes long, more than %d", size, maxV2)
		}
		return size, nil
	case begins(b, v1):
		if end := bytes.IndexByte(b[:min(len(b), maxV1)], '\n'); end >= 0 {
			return end + 1, nil
		}
		if len(b) >= maxV1 {
			return 0, fmt.Errorf("no end of line within %d bytes", maxV1)
		}
		return 0, nil
	}
	return 0, haproxy.ErrNoProxyProtocol
}

// begins reports whether b may become one that begins with signature.
func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}

// parse returns the address that the header of a connection from peer gives it.
func parse(b []byte, peer net.Addr) (net.Addr, error) {
	if begins(b, haproxy.SIGV2) {
		switch command, family := b[v2Command], b[v2Family]; {
		case command == v2Local: // whatever else it says (section 2.2)
			return peer, nil
		case command == v2Proxy && family == v2Unspec:
			return Unknown, nil
		case family&0x0f != v2Stream && family&0x0f != v2Dgram: // go-proxyproto takes some
			return nil, haproxy.ErrUnsupportedAddressFamilyAndProtocol
		}
	} else if unknown, err := strictV1(string(b)); unknown || err != nil {
		return Unknown, err
	}
	h, err := haproxy.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil {
		return nil, err
	}
	switch a := h.SourceAddr.(type) {
	case *net.TCPAddr:
		return a, nil
	case *net.UDPAddr: // QUIC in front of the proxy
		return &net.TCPAddr{IP: a.IP, Port: a.Port}, nil
	case *net.UnixAddr:
		return Unknown, nil
	}
	return nil, haproxy.ErrUnsupportedAddressFamilyAndProtocol
}

// strictV1 refuses what go-proxyproto takes beyond the standard (section 2.1):
// zones, which it drops, numbers with a sign or leading zeros, more fields. It
// reports whether the line is one of a connection of unknown origin, in which
// the rest is to be ignored.
func strictV1(line string) (unknown bool, err error) {
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsRune(line, '\r') {
		return false, haproxy.ErrLineMustEndWithCrlf
	}
	fields := strings.Split(line, " ")
	if fields[1] == "UNKNOWN" {
		return true, nil
	}
	if len(fields) != 6 {
		return false, fmt.Errorf("%d fields instead of 6", len(fields))
	}
	if strings.ContainsRune(fields[2]+fields[3], '%') {
		return false, errors.New("an address with a zone")
	}
	for _, port := range fields[4:] {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return false, haproxy.ErrInvalidPortNumber
		}
	}
	return false, nil
}
