//go:build linux && amd64

package stall

import (
	"fmt"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
)

// EpochLength is how often Traffic.Tick is to be called.
const EpochLength = 250 * time.Millisecond

const (
	// A request counts as late when it has not ended lateAfter epochs behind
	// its own, a second, and is looked for until forgetAfter epochs behind.
	lateAfter   = 4
	forgetAfter = 12
	// busy is how many requests in one epoch make the next ones be thinned out
	// while nothing is frozen, and thinMask to which share.
	busy     = 500
	thinMask = 15
	// remember is how many epochs, 30 s, tell what is usual before a freeze.
	remember = 120
	// timesUsual is how many times the usual share must be late.
	timesUsual = 3
)

// Traffic knows how many of the requests that nobody debugs take longer than a
// second. It has the gate count them by epochs and never looks at a clock of
// the service. Its methods may be called from any goroutine.
type Traffic struct {
	b Counter

	mu     sync.Mutex
	number uint32 // of the present epoch
	places []board.Epoch
	epochs []epoch // the last ones by their place on the board
	usual  []late  // of the last looks while nothing was frozen
	now    late    // of the last look
}

// epoch is what is known of one.
type epoch struct {
	number uint32
	mask   uint8
	before board.Epoch // its place's counts when it began
}

// late is a look at the requests that began between one and three seconds ago.
type late struct {
	begun int // how many there were
	late  int // of those that have not ended
}

// Counter is the part of the board that counts; see [board.Board].
type Counter interface {
	NumEpochs() int
	SetEpoch(number uint32, mask uint8) error
	ReadEpochs(dst []board.Epoch) ([]board.Epoch, error)
}

// NewTraffic begins to count; nil if the gate in the service cannot.
func NewTraffic(b Counter) *Traffic {
	n := b.NumEpochs()
	if n <= forgetAfter {
		return nil
	}
	return &Traffic{b: b, epochs: make([]epoch, n)}
}

// Tick begins the next epoch and looks at the last ones. frozen says whether a
// request is frozen: then all others are counted, and what is seen does not
// count as usual.
func (t *Traffic) Tick(frozen bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var err error
	if t.places, err = t.b.ReadEpochs(t.places); err != nil {
		return err
	}
	mask, began := t.mask(), t.begunIn(t.number)
	switch {
	case frozen, t.number == 0:
		mask = 0
	case began > busy:
		mask = thinMask
	case began < busy/2:
		mask = 0
	}
	t.number++
	at := int(t.number) % len(t.epochs)
	t.epochs[at] = epoch{number: t.number, mask: mask, before: t.places[at]}
	if err := t.b.SetEpoch(t.number, mask); err != nil {
		return err
	}
	t.now = t.since(t.number - min(t.number, forgetAfter+1))
	if !frozen {
		t.usual = append(t.usual, t.now)
		if len(t.usual) > remember {
			t.usual = t.usual[1:]
		}
	}
	return nil
}

func (t *Traffic) mask() uint8 { return t.epochs[int(t.number)%len(t.epochs)].mask }

// begunIn is how many requests began in an epoch, about.
func (t *Traffic) begunIn(number uint32) int {
	begun, _ := t.count(number)
	return begun
}

// count is how many requests began in an epoch, and how many of them have not
// ended.
func (t *Traffic) count(number uint32) (begun, open int) {
	at := int(number) % len(t.epochs)
	e := t.epochs[at]
	if e.number != number || number == 0 {
		return 0, 0
	}
	share := int(e.mask) + 1
	b := int(t.places[at].Begun - e.before.Begun)
	// One that outlived a whole round of epochs ends in another one's count:
	// then fewer seem to be open, never more.
	o := max(b-int(int32(t.places[at].Ended-e.before.Ended)), 0)
	return b * share, o * share
}

// since looks at all requests that began behind epoch from and more than a second
// ago, as far as the board still has their epochs. It leaves out epochs that were
// counted in another share than the present one: behind a freeze a single late
// request of those before would seem many. Called under t.mu.
func (t *Traffic) since(from uint32) (l late) {
	oldest := uint32(len(t.epochs)) - 2
	if t.number > oldest {
		from = max(from, t.number-oldest)
	}
	for n := from + 1; n+lateAfter <= t.number; n++ {
		if t.epochs[int(n)%len(t.epochs)].mask != t.mask() {
			continue
		}
		begun, open := t.count(n)
		l.begun += begun
		l.late += open
	}
	return l
}

// Slow watches the others' requests after one freeze.
type Slow struct {
	t         *Traffic
	threshold int
	known     bool    // something was counted before the freeze
	usual     float64 // share of late requests
	from      uint32  // number of the epoch of the freeze
	seen      uint32  // number of the epoch of the last Look
	over      int     // epochs in a row that were past the threshold
	stuck     int     // epochs in a row in which hardly any request ended
}

// Watch notes how many requests usually take long. threshold is the number of
// additional ones that is too many.
func (t *Traffic) Watch(threshold int) *Slow {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum late
	for _, l := range t.usual {
		sum.begun += l.begun
		sum.late += l.late
	}
	return &Slow{t: t, threshold: threshold, known: sum.begun > 0, from: t.number, usual: float64(sum.late) / float64(max(sum.begun, 1))}
}

// Look compares the last Tick with what is usual. If many more requests take
// long it says so: "31 of 40 requests take longer than a second since the
// stop, 0.2 % did before".
func (s *Slow) Look() (evidence string) {
	s.t.mu.Lock()
	now, all, number := s.t.now, s.t.since(s.from), s.t.number
	s.t.mu.Unlock()
	if number == s.seen {
		return ""
	}
	s.seen = number
	if evidence := s.standstill(all); evidence != "" {
		return evidence
	}
	// All of them too: where requests are few, those of two seconds never are
	// too many, however many have piled up.
	if !s.tooMany(now) {
		if now = all; !s.tooMany(now) {
			s.over = 0
			return ""
		}
	}
	if s.over++; s.over < confirm {
		return ""
	}
	return s.evidence(now)
}

func (s *Slow) tooMany(l late) bool {
	expected := s.usual * float64(l.begun)
	return float64(l.late) >= expected+float64(s.threshold) && float64(l.late) >= timesUsual*expected
}

// stuckLooks is for how many looks, 2 s, the service must stand still.
const stuckLooks = 8

// standstill notices what the threshold cannot see: a service with few requests,
// with few connections that all wait, or with many requests that usually take
// long. It asks for 4 with the default threshold, and for three quarters of those
// that are usually quick.
func (s *Slow) standstill(all late) (evidence string) {
	quick := (1 - s.usual) * float64(all.begun)
	few := float64(max(4, s.threshold-20))
	if quick < few || float64(all.begun-all.late) > quick/4 {
		s.stuck = 0
		return ""
	}
	if s.stuck++; s.stuck < stuckLooks {
		return ""
	}
	return s.evidence(all)
}

func (s *Slow) evidence(l late) string {
	before := "what is usual is not known yet"
	if s.known {
		before = fmt.Sprintf("%.2g %% did before", 100*s.usual)
	}
	return fmt.Sprintf("%d of %d requests take longer than a second since the stop, %s", l.late, l.begun, before)
}
