//go:build linux && amd64

package dap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-dap"
)

func TestFrames(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     string // bodies, joined by |
		err      error
	}{
		{"one", "Content-Length: 2\r\n\r\n{}", "{}", io.EOF},
		{"two", "Content-Length: 2\r\n\r\n{}Content-Length: 4\r\n\r\nnull", "{}|null", io.EOF},
		{"no space, lower case, bare line feeds", "content-length:2\n\n{}", "{}", io.EOF},
		{"content type", "Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{}", "{}", io.EOF},
		{"empty body", "Content-Length: 0\r\n\r\n", "", io.EOF},
		{"nothing", "", "", io.EOF},
		{"JSON-RPC of dlv connect", `{"method":"RPCServer.SetApiVersion","params":[{"APIVersion":2}],"id":0}`, "", errNotDAP},
		{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "", errNotDAP},
		{"HTTP that begins like us", "CONNECT x:443 HTTP/1.1\r\n\r\n", "", errNotDAP},
		{"TLS hello", "\x16\x03\x01\x02\x00", "", errNotDAP},
		{"header without length", "Content-Type: a\r\n\r\n{}", "", errNotDAP},
		{"blank line first", "\r\n\r\n", "", errNotDAP},
		{"negative", "Content-Length: -1\r\n\r\n{}", "", errNotDAP},
		{"signed", "Content-Length: +2\r\n\r\n{}", "", errNotDAP},
		{"not a number", "Content-Length: two\r\n\r\n{}", "", errNotDAP},
		{"body over the limit", fmt.Sprintf("Content-Length: %d\r\n\r\n{}", maxBody+1), "", errBodyBig},
		{"length over 64 bits", "Content-Length: 99999999999999999999999\r\n\r\n{}", "", errBodyBig},
		{"endless first line", "C" + strings.Repeat("x", maxHeader+10), "", errHeaderBig},
		{"a line of 64 bytes", "Content-Length:" + strings.Repeat(" ", 47) + "2\n\n{}", "{}", io.EOF},
		{"a line of 65 bytes", "Content-Length:" + strings.Repeat(" ", 48) + "2\n\n{}", "", errHeaderBig},
		{"endless header", strings.Repeat("Content-Type: x\r\n", 1000), "", errHeaderBig},
		{"header cut short", "Content-Len", "", io.ErrUnexpectedEOF},
		{"body cut short", "Content-Length: 10\r\n\r\n{}", "", io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// One byte a read: no case may depend on what arrives together.
			r := newFrameReader(iotest.OneByteReader(strings.NewReader(tt.in)))
			var got []string
			var err error
			for err == nil {
				var body []byte
				if body, err = r.next(); err == nil {
					got = append(got, string(body))
				}
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if joined := strings.Join(got, "|"); joined != tt.want {
				t.Errorf("bodies %q, want %q", joined, tt.want)
			}
		})
	}
}

// A length is a promise; memory is given only for bytes that came.
func TestFrameAllocatesWhatArrives(t *testing.T) {
	header := fmt.Sprintf("Content-Length: %d\r\n\r\n{", maxBody)
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			r := newFrameReader(strings.NewReader(header))
			if _, err := r.next(); err == nil {
				b.Fatal("no error for a body that never came")
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 64<<10 {
		t.Errorf("%d bytes allocated for a body of one byte", allocated)
	}
}

// FuzzFrames holds the reader against go-dap's, which is stricter about the
// header: what that accepts must come out the same here.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("Content-Length: 2\r\n\r\n{}"))
	f.Add([]byte("Content-Length: 2\r\n\r\n{}Content-Length: 0\r\n\r\n"))
	f.Add([]byte("Content-Type: x\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("Content-Length: 4194305\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ours := newFrameReader(bytes.NewReader(data))
		theirs := bufio.NewReader(bytes.NewReader(data))
		for {
			want, werr := dap.ReadBaseMessage(theirs)
			got, gerr := ours.next()
			if werr != nil {
				return
			}
			if errors.Is(gerr, errHeaderBig) {
				return // go-dap has no such bound
			}
			if gerr != nil {
				t.Fatalf("go-dap reads %q, we say %v", want, gerr)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("got %q, go-dap reads %q", got, want)
			}
			back, err := newFrameReader(bytes.NewReader(appendFrame(got))).next()
			if err != nil || !bytes.Equal(back, got) {
				t.Fatalf("round trip of %q: %q, %v", got, back, err)
			}
		}
	})
}
