//go:build linux && amd64

package live

import (
	"slices"

	"github.com/cilium/ebpf/link"
)

// armedReturns are the probes at the returns of functions.
type armedReturns struct {
	set   *Returns // nil: none are wanted
	off   int      // how many probes were off when they were set
	addrs []uint64 // those that are armed, sorted
	link  link.Link
}

// armReturns makes a set, less what is off, the armed one. The new probes are there
// before the old ones go: what is in both stays in the text.
func (p *prober) armReturns(set *Returns) {
	isOff := func(a uint64) bool { return p.off[a] }
	if set == p.exits.set && len(p.off) >= p.exits.off && !slices.ContainsFunc(p.exits.addrs, isOff) {
		return
	}
	old := p.exits
	p.exits = armedReturns{set: set, off: len(p.off)}
	if set != nil {
		if err := p.attachReturns(set); err != nil {
			p.exits.addrs = nil
			p.tell(Off{Addrs: set.addrs(), Why: err.Error()})
		}
	}
	p.retire(old.link, old.addrs)
}

func (p *prober) attachReturns(set *Returns) error {
	if err := p.load(); err != nil {
		return err
	}
	var addrs, cookies []uint64
	for i, s := range set.Sites[:min(len(set.Sites), MaxReturns)] {
		if !p.off[s.Addr] {
			addrs, cookies = append(addrs, s.Addr), append(cookies, s.cookie(MaxProbes+i))
		}
	}
	if len(addrs) == 0 {
		return nil
	}
	offsets, err := fileOffsets(p.proc.PID, addrs)
	if err != nil {
		return err
	}
	l, err := p.kernel.arm(offsets, cookies)
	if err != nil {
		return err
	}
	p.exits.link, p.exits.addrs = l, addrs
	p.proc.probed.add(addrs, 1)
	return nil
}

// number is that of the probe at an address, by which its hits are counted.
func (p *prober) number(addr uint64) uint64 {
	if n, ok := p.cookies[addr]; ok {
		return n
	}
	if i := p.exits.set.index(addr); i >= 0 {
		return uint64(MaxProbes + i)
	}
	return 0
}

// addrs are those of all sites.
func (r *Returns) addrs() []uint64 {
	list := make([]uint64, len(r.Sites))
	for i, s := range r.Sites {
		list[i] = s.Addr
	}
	return list
}
