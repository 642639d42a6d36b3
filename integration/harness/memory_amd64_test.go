//go:build linux

package harness_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// TestMemory holds what is read from and written to a service's memory against
// what the service itself says, in a program at a fixed address and in one that
// the kernel places.
func TestMemory(t *testing.T) {
	b, err := harness.NewBuilder()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Remove()
	for _, v := range []harness.Variant{{}, {PIE: true}} {
		t.Run(v.String(), func(t *testing.T) {
			binary, err := b.Shop(v)
			if err != nil {
				t.Fatal(err)
			}
			s, err := harness.StartService(binary)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Kill()
			t.Run("wall clock", func(t *testing.T) { setClock(t, s) })
			t.Run("goroutines", func(t *testing.T) { countGoroutines(t, s) })
			t.Run("board", func(t *testing.T) { readBoard(t, s) })
			if err := harness.TextIntact(s.PID); err != nil {
				t.Error(err)
			}
		})
	}
}

func setClock(t *testing.T, s *harness.Service) {
	for range 2 { // the second takes what the first has put there
		c, err := harness.TakeWallClock(s.PID)
		if err != nil {
			t.Fatal(err)
		}
		for _, ahead := range []time.Duration{24 * time.Hour, -24 * time.Hour, 0} {
			if err := c.Set(ahead); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Ahead(); err != nil || got != ahead {
				t.Errorf("set %v ahead, it says %v, %v", ahead, got, err)
			}
			resp, err := http.Get(s.URL + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			date, err := http.ParseTime(resp.Header.Get("Date"))
			if off := date.Sub(time.Now().Add(ahead)); err != nil || off < -time.Minute || off > time.Minute {
				t.Errorf("set %v ahead, the service's Date is %v, %v", ahead, date, err)
			}
		}
	}
}

func countGoroutines(t *testing.T, s *harness.Service) {
	client := harness.NewClient(s.URL, harness.Others, 1)
	defer client.Close()
	const more = 40 // of which each holds a goroutine of the service for a while
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range more {
		go client.Get(ctx, "/slow?ms=20000")
	}
	var found, said int
	err := harness.Until(10*time.Second, "the requests are there", func() error {
		var stats struct{ Goroutines int }
		r := client.Get(ctx, "/stats")
		if r.Err != nil {
			return r.Err
		}
		if err := json.Unmarshal([]byte(r.Body), &stats); err != nil {
			return err
		}
		var err error
		said = stats.Goroutines
		found, err = harness.Goroutines(s.PID)
		// The runtime's own are some ten: garbage collection has one a core, and
		// five more or less stand by. While requests still come in, the one count
		// is older than the other.
		if err == nil && (said < more || found < said || found > said+30) {
			err = fmt.Errorf("%d goroutines found, the service says %d", found, said)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func readBoard(t *testing.T, s *harness.Service) {
	b, err := harness.OpenBoard(s.PID)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if h, err := b.Header(); err != nil || h.Armed || h.Lease >= 0 {
		t.Errorf("nobody debugs, and the board says %+v, %v", h, err)
	}
}
