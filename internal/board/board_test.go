//go:build linux && amd64

package board_test

import (
	"errors"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

// allowed is where the tests send gated requests from.
const allowed = "127.0.0.2"

var allowedRule = board.Rule{Prefix: netip.MustParsePrefix(allowed + "/32")}

// service is a shop whose board the test writes.
type service struct {
	*board.Board
	pid int
	mem vmem.Process
	url string
	img *board.Image
}

func newService(t *testing.T) *service {
	t.Helper()
	pid, url := startShop(t, buildShop(t))
	img, err := board.Locate(pid)
	if err != nil {
		t.Fatal(err)
	}
	mem := vmem.Process{PID: pid}
	b, err := board.Open(mem, img)
	if err != nil {
		t.Fatal(err)
	}
	return &service{b, pid, mem, url, img}
}

func (s *service) arm(t *testing.T, lease time.Duration, rules ...board.Rule) {
	t.Helper()
	if err := s.Arm(os.Getpid(), rules, board.Now()+lease); err != nil {
		t.Fatal(err)
	}
}

// wake interrupts the service's wait for a word that was written.
func (s *service) wake(slot board.Slot) { _ = unix.Tgkill(s.pid, slot.TID, unix.SIGURG) }

// declining declines whatever the board offers while f runs.
func (s *service) declining(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	wait := inBackground(func() {
		defer close(done)
		f()
	})
	defer wait()
	var slots []board.Slot
	var buf []byte
	eventually(t, "the request is answered", func() bool {
		var err error
		if slots, err = s.ReadSlots(slots, &buf); err != nil {
			t.Fatal(err)
		}
		for _, slot := range slots {
			if slot.State != board.StateOffered {
				continue
			}
			if err := s.Answer(slot.Index, slot.Gen, false); err != nil {
				t.Fatal(err)
			}
			s.wake(slot)
		}
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

// offered says whether one request, which must be served, fits the rules. The
// service's count tells: on a busy machine an offer can go by unseen.
func (s *service) offered(t *testing.T, c call) bool {
	t.Helper()
	before, err := s.Matched()
	if err != nil {
		t.Fatal(err)
	}
	var status int
	s.declining(t, func() { status, err = send(c.from, c.method, s.url+c.path, c.header) })
	if err != nil || status != http.StatusOK {
		t.Fatalf("%+v: status %d, %v", c, status, err)
	}
	after, err := s.Matched()
	if err != nil || after-before > 1 {
		t.Fatalf("%+v: %d matches, %v", c, after-before, err)
	}
	return after != before
}

// call is a request to the shop.
type call struct {
	from, method, path string
	header             map[string][]string
}

func TestRulesAsTheGateReadsThem(t *testing.T) {
	s := newService(t)
	prefix := netip.MustParsePrefix
	orders := call{from: allowed, method: "GET", path: "/orders/7"}
	with := func(name, value string) call {
		c := orders
		c.header = map[string][]string{name: {value}}
		return c
	}
	long := strings.Repeat("x", 128)
	for _, c := range []struct {
		name  string
		rules []board.Rule
		call  call
		want  bool
	}{
		{"no rule", nil, orders, false},
		{"address", []board.Rule{{Prefix: prefix("127.0.0.2/32")}}, orders, true},
		{"other address", []board.Rule{{Prefix: prefix("127.0.0.3/32")}}, orders, false},
		{"prefix", []board.Rule{{Prefix: prefix("127.0.0.0/30")}}, orders, true},
		{"prefix that ends before", []board.Rule{{Prefix: prefix("127.0.0.4/30")}}, orders, false},
		{"prefix with host bits", []board.Rule{{Prefix: netip.PrefixFrom(netip.MustParseAddr("127.0.0.3"), 8)}}, orders, true},
		{"IPv6 prefix of the same bits", []board.Rule{{Prefix: prefix("::7f00:0/104")}}, orders, false},
		{"everybody", []board.Rule{{Prefix: prefix("0.0.0.0/0")}, {Prefix: prefix("::/0")}}, orders, false},
		{"the zero rule", []board.Rule{{}}, orders, false},
		{"second of two", []board.Rule{{Prefix: prefix("10.0.0.0/8")}, {Prefix: prefix("127.0.0.2/32")}}, orders, true},
		{"as many as fit", append(make([]board.Rule, s.NumRules()-1), allowedRule), orders, true},
		{"method", []board.Rule{{Prefix: allowedRule.Prefix, Method: "GET"}}, orders, true},
		{"other method", []board.Rule{{Prefix: allowedRule.Prefix, Method: "GE"}}, orders, false},
		{"path prefix", []board.Rule{{Prefix: allowedRule.Prefix, Path: "/orders/"}}, orders, true},
		{"whole path", []board.Rule{{Prefix: allowedRule.Prefix, Path: "/orders/7"}}, orders, true},
		{"longer path", []board.Rule{{Prefix: allowedRule.Prefix, Path: "/orders/70"}}, orders, false},
		{"header", []board.Rule{{Prefix: allowedRule.Prefix, Header: "X-Debug", Val: "yes"}}, with("X-Debug", "yes"), true},
		{"other value", []board.Rule{{Prefix: allowedRule.Prefix, Header: "X-Debug", Val: "yes"}}, with("X-Debug", "ye"), false},
		{"no such header", []board.Rule{{Prefix: allowedRule.Prefix, Header: "X-Debug", Val: "yes"}}, orders, false},
		{"longest value", []board.Rule{{Prefix: allowedRule.Prefix, Header: "X-Debug", Val: long}}, with("X-Debug", long), true},
		{"all fields", []board.Rule{{Prefix: allowedRule.Prefix, Method: "GET", Path: "/o", Header: "X-A", Val: "1"}}, with("X-A", "1"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.arm(t, time.Minute, c.rules...)
			if got := s.offered(t, c.call); got != c.want {
				t.Errorf("offered: %t, want %t", got, c.want)
			}
			if s.offered(t, call{from: "127.0.0.9", method: "GET", path: "/healthz"}) && c.name != "prefix with host bits" {
				t.Error("a request from elsewhere was offered, too")
			}
		})
	}
}

// TestRulesThatDoNotFit: cutting a text would widen a rule. The rules that were
// there must go on to be in force, all of them and none but them.
func TestRulesThatDoNotFit(t *testing.T) {
	s := newService(t)
	prefix := allowedRule.Prefix
	for _, c := range []struct {
		name  string
		rules []board.Rule
		says  string
	}{
		{"too many", make([]board.Rule, s.NumRules()+1), "shorter prefix"},
		{"method", []board.Rule{{Prefix: prefix, Method: strings.Repeat("M", 17)}}, "method of 17 bytes"},
		{"path", []board.Rule{{Prefix: prefix, Path: strings.Repeat("/", 129)}}, "path of 129 bytes"},
		{"header name", []board.Rule{{Prefix: prefix, Header: strings.Repeat("H", 65)}}, "header name of 65 bytes"},
		{"header value", []board.Rule{{Prefix: prefix, Header: "H", Val: strings.Repeat("v", 129)}}, "header value of 129 bytes"},
		{"the last of three", []board.Rule{{Prefix: prefix}, {}, {Method: strings.Repeat("M", 200)}}, "method of 200 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.arm(t, time.Minute, board.Rule{Prefix: prefix, Path: "/orders/"})
			gen, err := s.mem.Uint32(s.RuleGenAddr())
			if err != nil || gen%2 != 0 {
				t.Fatalf("generation %d, %v: not even", gen, err)
			}
			err = s.Arm(1, c.rules, board.Now()+time.Hour)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("Arm: %v, want one that says %q", err, c.says)
			}
			if now, err := s.mem.Uint32(s.RuleGenAddr()); now != gen || err != nil {
				t.Errorf("generation %d, %v, before %d", now, err, gen)
			}
			if owner, err := s.Owner(); owner != os.Getpid() || err != nil {
				t.Errorf("owner %d, %v, want still %d", owner, err, os.Getpid())
			}
			if !s.offered(t, call{from: allowed, method: "GET", path: "/orders/7"}) {
				t.Error("the rule that was there is not in force any more")
			}
			if s.offered(t, call{from: allowed, method: "GET", path: "/healthz"}) {
				t.Error("the rule that was there has become wider")
			}
		})
	}
}

// TestAgentDiedWhileWriting: it left the generation odd.
func TestAgentDiedWhileWriting(t *testing.T) {
	s := newService(t)
	s.arm(t, time.Minute, allowedRule)
	gen, err := s.mem.Uint32(s.RuleGenAddr())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.mem.PutUint32(s.RuleGenAddr(), gen|1); err != nil {
		t.Fatal(err)
	}
	request := call{from: allowed, method: "GET", path: "/orders/7"}
	if s.offered(t, request) {
		t.Error("half-written rules are in force")
	}
	s.arm(t, time.Minute, allowedRule)
	if now, err := s.mem.Uint32(s.RuleGenAddr()); now%2 != 0 || now == gen || err != nil {
		t.Errorf("generation %d, %v, before %d", now, err, gen)
	}
	if !s.offered(t, request) {
		t.Error("the next agent's rules are not in force")
	}
}

func TestLease(t *testing.T) {
	s := newService(t)
	request := call{from: allowed, method: "GET", path: "/orders/7"}
	expect := func(when string, want bool) {
		t.Helper()
		owner, err := s.Owner()
		if err != nil || (owner == os.Getpid()) != want || !want && owner != 0 {
			t.Errorf("%s: owner %d, %v", when, owner, err)
		}
		if got := s.offered(t, request); got != want {
			t.Errorf("%s: offered: %t", when, got)
		}
	}
	expect("before arming", false)
	s.arm(t, time.Minute, allowedRule)
	expect("armed", true)

	end := board.Now() + 50*time.Millisecond
	if err := s.Renew(end); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lease runs out", func() bool { return board.Now() > end })
	expect("expired", false)

	if err := s.Renew(board.Now() + time.Minute); err != nil {
		t.Fatal(err)
	}
	expect("renewed", true)
	if err := s.Disarm(); err != nil {
		t.Fatal(err)
	}
	expect("disarmed", false)
	if err := s.Renew(board.Now() + time.Minute); err != nil {
		t.Fatal(err)
	}
	expect("renewed by an agent that does not know that it was disarmed", false)
	s.arm(t, time.Minute, allowedRule)
	expect("armed again", true)
}

func TestOtherVersions(t *testing.T) {
	for _, c := range []struct {
		name    string
		corrupt func(t *testing.T, s *service) error
		says    string
	}{
		{"another ABI", func(t *testing.T, s *service) error { return s.mem.PutUint32(s.ABIAddr(), 77) }, "it has 77"},
		{"no magic", func(t *testing.T, s *service) error { return s.mem.PutUint64(s.MagicAddr(), 0) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(t)
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			if err := c.corrupt(t, s); err != nil {
				t.Fatal(err)
			}
			if err := s.Check(); !errors.Is(err, board.ErrABI) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Check: %v, want ErrABI", err)
			}
			if _, err := board.Open(s.mem, s.img); !errors.Is(err, board.ErrABI) {
				t.Errorf("Open: %v, want ErrABI", err)
			}
		})
	}
}

// TestProcessGone: every method fails, and says that the process is the reason.
func TestProcessGone(t *testing.T) {
	s := newService(t)
	s.arm(t, time.Minute, allowedRule)
	if err := unix.Kill(s.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", func() bool { return s.Check() != nil })
	var buf []byte
	_, errOwner := s.Owner()
	slots, errSlots := s.ReadSlots(make([]board.Slot, 3), &buf)
	_, errSlot := s.ReadSlot(0)
	_, errDescribe := s.Describe(0)
	for name, err := range map[string]error{
		"Check": s.Check(), "Owner": errOwner, "ReadSlots": errSlots, "ReadSlot": errSlot, "Describe": errDescribe,
		"Arm": s.Arm(1, nil, 0), "Renew": s.Renew(0), "Disarm": s.Disarm(),
		"Answer": s.Answer(0, 1, true), "SetFreed": s.SetFreed(0, 1), "SetHeld": s.SetHeld(0, true),
	} {
		if !errors.Is(err, unix.ESRCH) {
			t.Errorf("%s: %v, want a wrapped ESRCH", name, err)
		}
	}
	if len(slots) != 0 {
		t.Errorf("ReadSlots gave %d slots of a process that is gone", len(slots))
	}
}
