//go:build linux && amd64

package dap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	// maxLine bounds a line of the header in bytes. The longest that a client
	// sends has 57, a content type.
	maxLine = 64
	// maxHeader bounds the header of a message in bytes, blank line included.
	// A real one is 20 to 30 bytes.
	maxHeader = 4 * maxLine
	// maxBody bounds the JSON of a message in bytes. The largest thing a
	// client sends is a list of breakpoints.
	maxBody = 4 << 20
)

// Errors of framing. There is no way to find the next message after one, so
// each of them ends the connection.
var (
	errNotDAP    = errors.New("not a DAP message: its header does not begin with Content-Length")
	errHeaderBig = fmt.Errorf("message header over %d bytes, or a line of it over %d", maxHeader, maxLine)
	errBodyBig   = fmt.Errorf("message body over %d bytes", maxBody)
)

// frameReader cuts a byte stream into DAP messages. go-dap's own reader reads
// its header line without a bound and allocates the body before a byte of it
// has come, which an unauthenticated peer must not be able to ask for.
type frameReader struct{ r *bufio.Reader }

func newFrameReader(r io.Reader) *frameReader {
	// ReadSlice fails with ErrBufferFull at the size of the buffer: that is
	// the bound of a header line.
	return &frameReader{bufio.NewReaderSize(r, maxLine)}
}

// next returns the body of the next message; io.EOF between two messages is
// the orderly end.
func (f *frameReader) next() ([]byte, error) {
	length, err := f.header()
	if err != nil {
		return nil, err
	}
	// The buffer grows with what has really arrived.
	var body bytes.Buffer
	if _, err := io.CopyN(&body, f.r, int64(length)); err != nil {
		return nil, fmt.Errorf("message cut short after %d of %d bytes: %w", body.Len(), length, io.ErrUnexpectedEOF)
	}
	return body.Bytes(), nil
}

// header reads the header fields and the blank line after them and returns
// the length of the body.
func (f *frameReader) header() (int, error) {
	// One byte tells a JSON-RPC client or a port scanner: do not wait for a
	// line that may never end.
	first, err := f.r.Peek(1)
	if err != nil {
		return 0, err
	}
	if first[0] != 'C' && first[0] != 'c' {
		return 0, errNotDAP
	}
	length, total := -1, 0
	for {
		raw, err := f.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return 0, errHeaderBig
		case err != nil:
			return 0, fmt.Errorf("message header cut short: %w", io.ErrUnexpectedEOF)
		}
		if total += len(raw); total > maxHeader {
			return 0, errHeaderBig
		}
		line := strings.TrimRight(string(raw), "\r\n")
		if line == "" {
			if length < 0 {
				return 0, errNotDAP
			}
			return length, nil
		}
		name, value, ok := strings.Cut(line, ":")
		switch {
		case !ok:
			return 0, errNotDAP
		case strings.EqualFold(name, "Content-Length"):
			if length, err = contentLength(value); err != nil {
				return 0, err
			}
		case strings.EqualFold(name, "Content-Type"): // allowed by LSP's base protocol, which clients share code with
		default:
			return 0, errNotDAP
		}
	}
}

func contentLength(value string) (int, error) {
	// ParseUint and not Atoi: no sign, no underscore.
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && n > maxBody:
		return 0, errBodyBig
	case err != nil:
		return 0, errNotDAP
	}
	return int(n), nil
}

// appendFrame puts header and body in one slice, so that a message is one
// write.
func appendFrame(body []byte) []byte {
	head := "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	return append([]byte(head), body...)
}
