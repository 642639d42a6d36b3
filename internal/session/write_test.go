//go:build linux && amd64

package session

import (
	"strings"
	"testing"
)

func TestWritable(t *testing.T) {
	const maps = `00400000-00401000 r-xp 00000000 08:01 1 /srv/shop
00500000-00502000 rw-p 00000000 00:00 0
00502000-00503000 rw-p 00000000 00:00 0 [heap]
00503000-00504000 r--p 00000000 00:00 0
00600000-00601000 rw-p 00000000 00:00 0
`
	for _, c := range []struct {
		name    string
		addr, n uint64
		want    uint64
	}{
		{"whole", 0x500010, 16, 16},
		{"across two mappings", 0x501ff0, 32, 32},
		{"up to one that is read-only", 0x502ff0, 32, 16},
		{"text", 0x400100, 8, 0},
		{"read-only data", 0x503100, 8, 0},
		{"a gap before it", 0x5ffff0, 32, 0},
		{"behind everything", 0x700000, 8, 0},
		{"up to the end of the last", 0x600ff8, 16, 8},
	} {
		got, err := writableIn(strings.NewReader(maps), c.addr, c.n)
		if err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", c.name, got, err, c.want)
		}
	}
	if _, err := writableIn(strings.NewReader("garbage\n"), 1, 1); err == nil {
		t.Error("a map that is none was read")
	}
}
