//go:build linux && amd64

// Package board is the agent's side of the board: the table in a service's own
// memory through which the gate offers requests to the debugger (gate/board.go
// describes the protocol and is the only other place that knows it).
//
// It finds the board by symbol, learns its layout from DWARF, and reads and
// writes it while the service runs. It must not know what a request is used
// for, nor trace anything. It has no goroutines; a Board may be used from any
// goroutine, its rule writes from one at a time.
package board

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

const (
	magicWord  = 0x3142_4744_4d45_5201
	abiVersion = 1

	armedYes    = 1
	armedEnding = 2
)

// State is a slot's state as the service writes it.
type State uint32

// The states that the agent acts on, see gate/board.go.
const (
	StateFree      State = 0
	StateOffered   State = 2
	StateRunning   State = 3
	StateDone      State = 4
	StateAbandoned State = 5
)

// Board is the board of one running service.
type Board struct {
	mem      vmem.Process
	base     uint64
	journals uint64
	callText [][2]uint64
	l        *layout
}

// Rule is one allow rule; empty texts match anything.
type Rule struct {
	Prefix                    netip.Prefix
	Method, Path, Header, Val string
	Token                     TokenKey // of the token that the request must carry, too; zero: none. The same in all rules
}

// Slot is a consistent-enough look at one slot: a Slot whose Gen and State are
// the same before and after an action was about the same request.
type Slot struct {
	Index  int
	State  State
	Gen    uint32
	TID    int // in the service's pid namespace
	Answer uint32
	Freed  uint32
	Held   bool
}

// Open checks that the board in the process's memory is the one that img
// describes and that this agent understands it.
func Open(mem vmem.Process, img *Image) (*Board, error) {
	l, err := newLayout(img.boardType, img.journalType)
	if err != nil {
		return nil, err
	}
	b := &Board{mem: mem, base: img.boardAddr, journals: img.journalAddr, l: l}
	b.callText = [][2]uint64{
		{img.DebugCall.Start, img.DebugCall.End},
		{img.DebugCall32.Start, img.DebugCall32.End},
		{img.Park.Start - 1, img.Park.Start}, // stopped behind an INT3, to go on at the entry of park
	}
	return b, b.Check()
}

// Check makes sure that the board is there and of the version that this agent
// understands.
func (b *Board) Check() error {
	magic, err := b.mem.Uint64(b.base + uint64(b.l.magic))
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	abi, err := b.mem.Uint32(b.base + uint64(b.l.abi))
	if err != nil {
		return fmt.Errorf("read the board: %w", err)
	}
	if magic != magicWord || abi != abiVersion {
		return fmt.Errorf("%w: it has %d, this agent speaks %d", ErrABI, abi, abiVersion)
	}
	return nil
}

// Now is the clock of lease and heartbeat: CLOCK_MONOTONIC, which setting the
// wall clock does not move.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("remotedbg: CLOCK_MONOTONIC: " + err.Error()) // cannot fail on Linux, see clock_gettime(2)
	}
	return time.Duration(ts.Nano())
}

// Owner tells the process id of the agent that holds an unexpired lease, or 0.
func (b *Board) Owner() (int, error) {
	armed, err := b.mem.Uint32(b.base + uint64(b.l.armed))
	if err != nil {
		return 0, err
	}
	lease, err := b.mem.Uint64(b.base + uint64(b.l.lease))
	if err != nil {
		return 0, err
	}
	pid, err := b.mem.Uint32(b.base + uint64(b.l.agentPID))
	if err != nil || armed != armedYes || time.Duration(lease) < Now() {
		return 0, err
	}
	return int(pid), nil
}

// Arm writes the rules and turns the gate on until lease (on Now's clock).
func (b *Board) Arm(agentPID int, rules []Rule, lease time.Duration) error {
	if err := b.writeRules(rules); err != nil {
		return err
	}
	for i, r := range b.callText {
		addr := b.base + uint64(b.l.callText) + uint64(i)*16
		if err := errors.Join(b.mem.PutUint64(addr, r[0]), b.mem.PutUint64(addr+8, r[1])); err != nil {
			return err
		}
	}
	if err := b.mem.PutUint32(b.base+uint64(b.l.agentPID), uint32(agentPID)); err != nil {
		return err
	}
	// What an agent that died had asked for beside.
	if err := errors.Join(b.stopCounting(), b.stopShowing()); err != nil {
		return err
	}
	if err := b.Renew(lease); err != nil {
		return err
	}
	return b.mem.PutUint32(b.base+uint64(b.l.armed), armedYes)
}

// Renew moves the lease's end and gives a sign of life.
func (b *Board) Renew(lease time.Duration) error {
	if err := b.mem.PutUint64(b.base+uint64(b.l.lease), uint64(lease)); err != nil {
		return err
	}
	return b.Beat()
}

// Beat gives a sign of life.
func (b *Board) Beat() error {
	return b.mem.PutUint64(b.base+uint64(b.l.beat), uint64(Now()))
}

// Counts are the gate's counters since the service started: requests that
// matched while it was armed, and what became of those that were not taken.
type Counts struct{ Matched, Declined, Silent, Full uint64 }

// Counts reads the counters.
func (b *Board) Counts() (c Counts, err error) {
	for _, f := range []struct {
		off int64
		to  *uint64
	}{{b.l.matched, &c.Matched}, {b.l.declined, &c.Declined}, {b.l.silent, &c.Silent}, {b.l.full, &c.Full}} {
		if *f.to, err = b.mem.Uint64(b.base + uint64(f.off)); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Disarm turns the gate off and ends the lease. The service notices at its next
// request, puts back what arming changed, and clears the word itself.
func (b *Board) Disarm() error {
	if err := b.mem.PutUint32(b.base+uint64(b.l.armed), armedEnding); err != nil {
		return err
	}
	return errors.Join(b.Renew(0), b.stopCounting(), b.stopShowing())
}

// DisarmOwn is Disarm unless another agent has armed the gate since agentPID did,
// which it may when that one was suspended for longer than its lease.
func (b *Board) DisarmOwn(agentPID int) error {
	if h, err := b.ReadHeader(); err != nil || h.AgentPID != agentPID {
		return err
	}
	return b.Disarm()
}

func (b *Board) writeRules(rules []Rule) error {
	if len(rules) > int(b.l.numRules) {
		return fmt.Errorf("%d allow rules: the gate holds %d: join addresses into a shorter prefix", len(rules), b.l.numRules)
	}
	buf := make([]byte, int(b.l.ruleSize)*len(rules))
	key, err := sharedKey(rules)
	if err != nil {
		return err
	}
	for i, r := range rules {
		if err := b.encodeRule(buf[i*int(b.l.ruleSize):], r); err != nil {
			return err
		}
	}
	genAddr := b.base + uint64(b.l.ruleGen)
	gen, err := b.mem.Uint32(genAddr)
	if err != nil {
		return err
	}
	gen |= 1 // odd while writing; an agent that died here left it odd already
	if err := b.mem.PutUint32(genAddr, gen); err != nil {
		return err
	}
	if _, err := b.mem.WriteMemory(b.base+uint64(b.l.rules), buf); err != nil {
		return err
	}
	if b.l.tokenKey != absent {
		if _, err := b.mem.WriteMemory(b.base+uint64(b.l.tokenKey), key[:]); err != nil {
			return err
		}
	}
	if err := b.mem.PutUint32(b.base+uint64(b.l.ruleCount), uint32(len(rules))); err != nil {
		return err
	}
	return b.mem.PutUint32(genAddr, gen+1)
}

// sharedKey is the one key that the board has room for.
func sharedKey(rules []Rule) (key TokenKey, err error) {
	for _, r := range rules {
		switch {
		case r.Token == (TokenKey{}):
		case key != (TokenKey{}) && key != r.Token:
			return key, errors.New("rules with different token keys: the gate holds one")
		default:
			key = r.Token
		}
	}
	return key, nil
}

func (b *Board) encodeRule(dst []byte, r Rule) error {
	addr, bits := r.Prefix.Addr(), r.Prefix.Bits()
	if addr.Is4() {
		bits += 96
		dst[b.l.rIs4] = 1
	}
	a16 := addr.As16()
	copy(dst[b.l.rAddr:], a16[:])
	dst[b.l.rBits] = uint8(bits)
	if r.Token != (TokenKey{}) {
		if b.l.rToken == absent || b.l.tokenKey == absent {
			return ErrNoTokens // leaving it out would widen the rule
		}
		dst[b.l.rToken] = 1
	}
	for _, t := range []struct {
		off  int64
		what string
		text string
	}{
		{b.l.rMethod, "method", r.Method}, {b.l.rPath, "path", r.Path},
		{b.l.rHeader, "header name", r.Header}, {b.l.rValue, "header value", r.Val},
	} {
		// Cutting a text would widen the rule: refuse instead.
		if int64(len(t.text)) > b.l.ruleText[t.off] {
			return fmt.Errorf("%s of %d bytes: the gate holds %d", t.what, len(t.text), b.l.ruleText[t.off])
		}
		binary.LittleEndian.PutUint16(dst[t.off:], uint16(len(t.text)))
		copy(dst[t.off+2:], t.text)
	}
	return nil
}
