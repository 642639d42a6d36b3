//go:build linux && amd64

package session

import "testing"

func TestGarbagePercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 100}, {8 << 20, 100}, {64 << 20, 100}, {128 << 20, 50}, {320 << 20, 20}, {4 << 30, 20},
	} {
		if got := garbagePercent(c.live); got != c.want {
			t.Errorf("of %d MiB: %d percent, want %d", c.live>>20, got, c.want)
		}
	}
}
