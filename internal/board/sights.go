//go:build linux && amd64

package board

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// ErrNoSights means that the gate in the service is older than this agent and
// cannot show the clients that it sees.
var ErrNoSights = errors.New("the gate in the binary cannot show clients' addresses")

// Sight is one request's client as the gate sees it. All texts can be printed
// and may have been cut.
type Sight struct {
	Number uint32 // counts all requests since the service started
	Peer   string // the remote end of the connection
	Client string // empty: unknown
	Reason string // why
	Method string
	Path   string
}

// SetLooking turns the showing of clients on or off.
func (b *Board) SetLooking(on bool) error {
	if b.l.looking == absent {
		return ErrNoSights
	}
	v := uint32(0)
	if on {
		v = 1
	}
	return b.mem.PutUint32(b.base+uint64(b.l.looking), v)
}

// ReadSights reads the sights of a number higher than after that the board still
// holds, oldest first, and the number of the last one that there was.
func (b *Board) ReadSights(after uint32) (list []Sight, last uint32, err error) {
	if b.l.looking == absent {
		return nil, 0, ErrNoSights
	}
	if last, err = b.mem.Uint32(b.base + uint64(b.l.sighted)); err != nil || last == after {
		return nil, last, err // no news, as nearly always
	}
	buf := make([]byte, b.l.numSights*b.l.sightSize)
	if _, err := b.mem.ReadMemory(buf, b.base+uint64(b.l.sights)); err != nil {
		return nil, 0, err
	}
	again := make([]byte, len(buf)) // what was written meanwhile has another number
	if _, err := b.mem.ReadMemory(again, b.base+uint64(b.l.sights)); err != nil {
		return nil, 0, err
	}
	for i := range b.l.numSights {
		at := buf[i*b.l.sightSize:]
		n := binary.LittleEndian.Uint32(at[b.l.gN:])
		fresh := n-after-1 < last-after // after < n <= last, also when they wrap
		if !fresh || n != binary.LittleEndian.Uint32(again[i*b.l.sightSize+b.l.gN:]) {
			continue
		}
		text := func(off int64) string { return printable(at, off, b.l.seenText[off]) }
		list = append(list, Sight{
			Number: n, Peer: text(b.l.gPeer), Client: text(b.l.gClient), Reason: text(b.l.gReason),
			Method: text(b.l.gMethod), Path: text(b.l.gPath),
		})
	}
	slices.SortFunc(list, func(x, y Sight) int { return cmp.Compare(x.Number-after, y.Number-after) })
	return list, last, nil
}

// stopShowing ends it, if the gate knows it at all.
func (b *Board) stopShowing() error {
	if b.l.looking == absent {
		return nil
	}
	return b.SetLooking(false)
}
