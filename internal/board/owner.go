//go:build linux && amd64

package board

import (
	"errors"
	"time"
)

// Header is what agents have written on the board about themselves.
type Header struct {
	Armed    bool
	AgentPID int           // in the pid namespace of the agent that armed last
	Lease    time.Duration // its end, on Now's clock
	Beat     time.Duration // last sign of life, on Now's clock
	RulesOK  bool          // false: an agent died while it wrote the rules
}

// ReadHeader reads it.
func (b *Board) ReadHeader() (Header, error) {
	armed, err1 := b.mem.Uint32(b.base + uint64(b.l.armed))
	pid, err2 := b.mem.Uint32(b.base + uint64(b.l.agentPID))
	lease, err3 := b.mem.Uint64(b.base + uint64(b.l.lease))
	beat, err4 := b.mem.Uint64(b.base + uint64(b.l.beat))
	gen, err5 := b.mem.Uint32(b.base + uint64(b.l.ruleGen))
	return Header{
		Armed: armed == armedYes, AgentPID: int(pid),
		Lease: time.Duration(lease), Beat: time.Duration(beat),
		RulesOK: gen&1 == 0,
	}, errors.Join(err1, err2, err3, err4, err5)
}

// ClearRules leaves no rule, also where an agent died while it wrote them.
func (b *Board) ClearRules() error { return b.writeRules(nil) }
