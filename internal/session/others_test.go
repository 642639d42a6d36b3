//go:build linux && amd64

package session

import "testing"

// TestShare: what each session may have frozen adds up to what all may, rounded up.
func TestShare(t *testing.T) {
	for _, tt := range []struct{ budget, started, attached, want int }{
		{2, 0, 0, 2}, // nobody yet
		{2, 1, 1, 2}, {2, 2, 2, 1}, {2, 3, 3, 1}, {2, 8, 8, 1},
		{2, 1, 4, 2}, // who only configures takes nothing
		{1, 2, 2, 1}, {8, 3, 3, 3}, {8, 2, 2, 4},
	} {
		e := &Engine{cfg: Config{MaxFrozen: tt.budget}}
		for i := range tt.attached {
			e.sessions = append(e.sessions, &Session{started: i < tt.started})
		}
		if got := e.share(); got != tt.want {
			t.Errorf("%d for %d of %d sessions: %d each, want %d", tt.budget, tt.started, tt.attached, got, tt.want)
		}
	}
}
