package gate

import (
	"sync/atomic"
	"testing"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

// counting makes the board count in epoch number until the test ends.
func counting(t *testing.T, number uint32, mask uint8) func() (begun, ended uint32) {
	t.Helper()
	at := &theBoard.epochs[number%numEpochs]
	begun, ended := atomic.LoadUint32(&at.begun), atomic.LoadUint32(&at.ended)
	atomic.StoreUint32(&theBoard.epoch, number<<8|uint32(mask))
	t.Cleanup(func() { atomic.StoreUint32(&theBoard.epoch, 0) })
	return func() (uint32, uint32) {
		return atomic.LoadUint32(&at.begun) - begun, atomic.LoadUint32(&at.ended) - ended
	}
}

func TestUntouchedRequestsAreCounted(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	agent.SetAnswer(gatetest.Decline)
	var g Gate
	for _, number := range []uint32{1, numEpochs - 1, numEpochs, 5 * numEpochs, 1<<24 - 1} {
		count := counting(t, number, 0)
		for _, from := range []string{"198.51.100.1:1", "203.0.113.7:1", "garbage"} { // no match, declined, unknown
			ticket := g.EnterHTTP(httpRequest(from), "")
			if ticket.Trapped() {
				t.Fatal("trapped")
			}
			before, _ := count()
			ticket.Leave()
			begun, ended := count()
			if begun != before || ended != begun {
				t.Errorf("epoch %d, %s: %d begun and %d ended", number, from, begun, ended)
			}
		}
		if begun, _ := count(); begun != 3 {
			t.Errorf("epoch %d: %d begun, want 3", number, begun)
		}
	}
}

func TestTrappedRequestsAreNotCounted(t *testing.T) {
	gatetest.Arm(t, testNet)
	count := counting(t, 3, 0)
	new(Gate).EnterHTTP(httpRequest("203.0.113.7:1"), "").Leave()
	if begun, ended := count(); begun != 0 || ended != 0 {
		t.Errorf("%d begun, %d ended", begun, ended)
	}
}

// TestEndInALaterEpoch: an end counts where its beginning did, while that place
// is still the epoch's.
func TestEndInALaterEpoch(t *testing.T) {
	gatetest.Arm(t, testNet)
	for _, c := range []struct {
		name  string
		now   uint32 // the word on the board when the request ends
		ended uint32
	}{
		{"next epoch", 8 << 8, 1},
		{"another share", 8<<8 | 15, 1},
		{"last moment", (7 + numEpochs - 1) << 8, 1},
		{"its place is another epoch's", (7 + numEpochs) << 8, 0},
		{"nobody counts any more", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			count := counting(t, 7, 0)
			ticket := new(Gate).EnterHTTP(httpRequest("198.51.100.1:1"), "")
			atomic.StoreUint32(&theBoard.epoch, c.now)
			ticket.Leave()
			if begun, ended := count(); begun != 1 || ended != c.ended {
				t.Errorf("%d begun, %d ended, want 1 and %d", begun, ended, c.ended)
			}
		})
	}
}

// TestCountsAShare: one in eight of 8,000, within what chance allows (six
// standard deviations, once in 10^9 runs).
func TestCountsAShare(t *testing.T) {
	gatetest.Arm(t, testNet)
	count := counting(t, 9, 7)
	r := httpRequest("198.51.100.1:1")
	for range 8000 {
		new(Gate).EnterHTTP(r, "").Leave()
	}
	if begun, ended := count(); begun < 820 || begun > 1180 || ended != begun {
		t.Errorf("%d begun, %d ended, want about 1000", begun, ended)
	}
}

func TestNothingIsCountedUnlessAsked(t *testing.T) {
	gatetest.Arm(t, testNet)
	if ticket := new(Gate).EnterHTTP(httpRequest("198.51.100.1:1"), ""); ticket != (Ticket{}) {
		t.Errorf("%+v", ticket)
	}
}
