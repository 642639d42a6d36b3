//go:build linux && amd64

package backend

import (
	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// maxParkedDepth bounds the frames that Parked reads.
const maxParkedDepth = 100

// Parked unwinds the goroutine whose runtime.g is at address g from where the
// runtime parked it, by live reads. It returns nil if the goroutine is not
// parked: a running one's saved position is stale. t may be any target of the
// process.
func Parked(t *proc.Target, cfg Config, g uint64) ([]proc.Stackframe, error) {
	p := New(cfg)
	p.thread.regs = newRegisters(live.State{G: g})
	info, err := proc.GetG(p.thread)
	if err != nil {
		return nil, err
	}
	if info.Status != proc.Gwaiting && info.Status != proc.Gsyscall {
		return nil, nil
	}
	at := live.Regs{Rip: info.PC, Rsp: info.SP, Rbp: info.BP}
	p.thread = &thread{p: p, tid: cfg.PID, regs: newRegisters(live.State{G: g, Regs: at})}
	return proc.ThreadStacktrace(t, p.thread, maxParkedDepth)
}
