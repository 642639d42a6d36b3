package peer

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What the kernel could answer, and what must not be taken for an answer.
func TestReadDiag(t *testing.T) {
	id := make([]byte, diagIDSize)
	copy(id, "\x01\x02\x03\x04")
	message := func(kind uint16, body []byte) []byte {
		m := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
		m[4], m[5] = byte(kind), byte(kind>>8)
		return append(m, body...)
	}
	found := make([]byte, diagMessageSize)
	copy(found[4:], id)
	listening := make([]byte, diagMessageSize)
	copy(listening[4:], "\x01\x02")
	for name, tt := range map[string]struct {
		bytes []byte
		want  string
	}{
		"found":            {message(unix.SOCK_DIAG_BY_FAMILY, found), ""},
		"not found":        {message(unix.NLMSG_ERROR, []byte{0xfe, 0xff, 0xff, 0xff}), errNoSocket.Error()},
		"not allowed":      {message(unix.NLMSG_ERROR, []byte{0xff, 0xff, 0xff, 0xff}), "operation not permitted"},
		"the listener":     {message(unix.SOCK_DIAG_BY_FAMILY, listening), errNoSocket.Error()},
		"cut":              {message(unix.SOCK_DIAG_BY_FAMILY, found[:60]), "60 bytes"},
		"an empty one":     {nil, "0 bytes"},
		"the end of many":  {message(unix.NLMSG_DONE, found), "type 3"},
		"an error, cut":    {message(unix.NLMSG_ERROR, nil), "type 2"},
		"an acknowledging": {message(unix.NLMSG_ERROR, make([]byte, 4)), "errno 0"},
	} {
		_, err := readDiag(tt.bytes, id)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
