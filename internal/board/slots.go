//go:build linux && amd64

package board

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// NumSlots is how many requests the gate can offer at the same time.
func (b *Board) NumSlots() int { return int(b.l.numSlots) }

func (b *Board) slotAddr(i int, field int64) uint64 {
	return b.base + uint64(b.l.slots+int64(i)*b.l.slotSize+field)
}

// ReadSlots reads all slots at once into dst, which it returns resized; buf is
// scratch space kept by the caller so that the poll allocates nothing.
func (b *Board) ReadSlots(dst []Slot, buf *[]byte) ([]Slot, error) {
	need := int(b.l.numSlots * b.l.slotSize)
	if len(*buf) < need {
		*buf = make([]byte, need)
	}
	if _, err := b.mem.ReadMemory((*buf)[:need], b.base+uint64(b.l.slots)); err != nil {
		return dst[:0], err
	}
	dst = dst[:0]
	for i := range int(b.l.numSlots) {
		dst = append(dst, b.decodeSlot(i, (*buf)[i*int(b.l.slotSize):]))
	}
	return dst, nil
}

// ReadSlot reads one slot.
func (b *Board) ReadSlot(i int) (Slot, error) {
	buf := make([]byte, b.l.slotSize)
	_, err := b.mem.ReadMemory(buf, b.slotAddr(i, 0))
	if err != nil {
		return Slot{}, err
	}
	return b.decodeSlot(i, buf), nil
}

func (b *Board) decodeSlot(i int, s []byte) Slot {
	word := func(off int64) uint32 { return binary.LittleEndian.Uint32(s[off:]) }
	return Slot{
		Index:  i,
		State:  State(word(b.l.state)),
		Gen:    word(b.l.gen),
		TID:    int(int32(word(b.l.tid))),
		Answer: word(b.l.answer),
		Freed:  word(b.l.freed),
		Held:   word(b.l.held) != 0,
	}
}

// Description is what a request is, in texts that can be printed; Route is empty
// if it is not known. Of a goroutine that belongs to a request all are, and
// Starter is set.
type Description struct {
	Method, Path, Route, Client string
	Starter                     *Starter
}

// Starter says who started a goroutine that belongs to a request, see gate.Go.
type Starter struct {
	Slot  int    // of the request or goroutine that started it
	Gen   uint32 // of that slot
	Entry uint64 // address of the function that the goroutine runs
}

// Describe reads what the request in slot i is.
func (b *Board) Describe(i int) (Description, error) {
	buf := make([]byte, b.l.slotSize)
	if _, err := b.mem.ReadMemory(buf, b.slotAddr(i, 0)); err != nil {
		return Description{}, err
	}
	text := func(off int64) string { return printable(buf, off, b.l.slotText[off]) }
	d := Description{Method: text(b.l.method), Path: text(b.l.path), Client: text(b.l.client)}
	if b.l.route != absent {
		d.Route = text(b.l.route)
	}
	if b.l.parent == absent {
		return d, nil
	}
	if parent := binary.LittleEndian.Uint32(buf[b.l.parent:]); parent != 0 {
		d.Starter = &Starter{
			Slot:  int(parent) - 1,
			Gen:   binary.LittleEndian.Uint32(buf[b.l.parentGen:]),
			Entry: binary.LittleEndian.Uint64(buf[b.l.entry:]),
		}
	}
	return d, nil
}

// printable reads the text at an offset that holds up to most bytes. Texts come
// from a client: what cannot be printed is replaced.
func printable(buf []byte, off, most int64) string {
	n := min(int64(binary.LittleEndian.Uint16(buf[off:])), most)
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(buf[off+2:off+2+n]))
}

// Answer tells the service whether the request of generation gen is taken. The
// caller wakes the service's thread afterwards.
func (b *Board) Answer(i int, gen uint32, accept bool) error {
	v := gen << 1
	if accept {
		v |= 1
	}
	return b.mem.PutUint32(b.slotAddr(i, b.l.answer), v)
}

// SetFreed tells the service that the thread of generation gen is let go of.
func (b *Board) SetFreed(i int, gen uint32) error {
	return b.mem.PutUint32(b.slotAddr(i, b.l.freed), gen)
}

// SetHeld sets or clears the word that the frozen request waits on.
func (b *Board) SetHeld(i int, held bool) error {
	v := uint32(0)
	if held {
		v = 1
	}
	return b.mem.PutUint32(b.slotAddr(i, b.l.held), v)
}

// Journal notes, for the landing pad, what only the agent knows of a thread
// that is about to be frozen: where it goes on, its flags and its XSAVE area.
func (b *Board) Journal(i int, pc, flags uint64, xstate []byte) error {
	if int64(len(xstate)) > b.l.jCap {
		return fmt.Errorf("an XSAVE area of %d bytes does not fit the journal's %d", len(xstate), b.l.jCap)
	}
	err := b.mem.PutUint64(b.journalAddr(i, b.l.jN), 0) // not valid while it is written
	_, werr := b.mem.WriteMemory(b.journalAddr(i, b.l.jState), xstate)
	return errors.Join(err, werr,
		b.SetHoming(i, false),
		b.mem.PutUint64(b.journalAddr(i, b.l.jPC), pc),
		b.mem.PutUint64(b.journalAddr(i, b.l.jFlags), flags),
		b.mem.PutUint64(b.journalAddr(i, b.l.jN), uint64(len(xstate))))
}

// SetHoming says whether the thread is on its way back to the journal's pc.
func (b *Board) SetHoming(i int, homing bool) error {
	v := uint64(0)
	if homing {
		v = 1
	}
	return b.mem.PutUint64(b.journalAddr(i, b.l.jHoming), v)
}

func (b *Board) journalAddr(i int, field int64) uint64 {
	return b.journals + uint64(int64(i)*b.l.journalSize+field)
}
