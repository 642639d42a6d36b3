//go:build linux && amd64

package board

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// layout holds the offsets of the board's fields, read from DWARF once.
type layout struct {
	size int64

	magic, abi, sizeWord                        int64
	armed, agentPID, lease, beat, callText      int64
	ruleGen, ruleCount, rules                   int64
	matched, declined, silent, full             int64
	slots, slotSize                             int64
	numSlots, numRules, ruleSize                int64
	state, gen, tid, answer, freed, held, since int64
	method, path, client, route                 int64 // in a slot; no route: absent
	parent, parentGen, entry                    int64 // in a slot; absent if the gate follows no goroutines
	rAddr, rBits, rIs4, rToken                  int64 // in a rule; no token: absent
	rMethod, rPath, rHeader, rValue             int64

	tokenKey       int64 // absent if the gate knows no tokens
	epoch, epochs  int64 // absent if the gate does not count others' requests
	numEpochs      int64
	eBegun, eEnded int64 // in an epoch

	looking, sighted, sights    int64 // absent if the gate does not show clients
	numSights, sightSize        int64
	gN, gPeer, gClient, gReason int64 // in a sight
	gMethod, gPath              int64
	epochSize                   int64

	ruleText map[int64]int64 // capacity of the rule's text at an offset
	slotText map[int64]int64 // capacity of the slot's text at an offset
	seenText map[int64]int64 // capacity of the sight's text at an offset

	journalSize, jN, jPC, jFlags, jHoming, jState, jCap int64
}

type fieldReader struct {
	t    *dwarf.StructType
	errs []error
}

func (r *fieldReader) field(name string) (off int64, typ dwarf.Type) {
	for _, f := range r.t.Field {
		if f.Name == name {
			return f.ByteOffset, strip(f.Type)
		}
	}
	r.errs = append(r.errs, fmt.Errorf("no field %s in %s", name, r.t.StructName))
	return 0, nil
}

func (r *fieldReader) off(name string) int64 { o, _ := r.field(name); return o }

// absent is the offset of a field that the gate in the service does not have:
// it is older than the field. What needs it is not offered then.
const absent = -1

// later is off for fields that the first boards did not have.
func (r *fieldReader) later(name string) int64 {
	for _, f := range r.t.Field {
		if f.Name == name {
			return f.ByteOffset
		}
	}
	return absent
}

func (r *fieldReader) array(name string) (off, count int64, elem *dwarf.StructType) {
	off, typ := r.field(name)
	at, ok := typ.(*dwarf.ArrayType)
	if !ok {
		r.errs = append(r.errs, fmt.Errorf("field %s is no array", name))
		return 0, 0, &dwarf.StructType{}
	}
	elem, ok = strip(at.Type).(*dwarf.StructType)
	if !ok {
		r.errs = append(r.errs, fmt.Errorf("field %s is no array of structs", name))
		return 0, 0, &dwarf.StructType{}
	}
	return off, at.Count, elem
}

func strip(t dwarf.Type) dwarf.Type {
	for {
		td, ok := t.(*dwarf.TypedefType)
		if !ok {
			return t
		}
		t = td.Type
	}
}

// textCap is the number of bytes that a text field of st can hold.
func (r *fieldReader) textCap(name string) int64 {
	_, typ := r.field(name)
	st, ok := typ.(*dwarf.StructType)
	if !ok {
		return 0
	}
	for _, f := range st.Field {
		if at, ok := strip(f.Type).(*dwarf.ArrayType); ok && f.Name == "b" {
			return at.Count
		}
	}
	return 0
}

func newLayout(board, journal *dwarf.StructType) (*layout, error) {
	b := &fieldReader{t: board}
	l := &layout{size: board.ByteSize, ruleText: map[int64]int64{}, slotText: map[int64]int64{}}
	l.magic, l.abi, l.sizeWord = b.off("magic"), b.off("abi"), b.off("size")
	l.armed, l.agentPID, l.lease, l.beat = b.off("armed"), b.off("agentPID"), b.off("lease"), b.off("beat")
	l.callText = b.off("callText")
	l.ruleGen, l.ruleCount = b.off("ruleGen"), b.off("ruleCount")
	l.matched, l.declined, l.silent, l.full = b.off("matched"), b.off("declined"), b.off("silent"), b.off("full")

	var slot, rule *dwarf.StructType
	l.rules, l.numRules, rule = b.array("rules")
	l.slots, l.numSlots, slot = b.array("slots")

	s := &fieldReader{t: slot}
	l.slotSize = slot.ByteSize
	l.state, l.gen, l.tid, l.since = s.off("state"), s.off("gen"), s.off("tid"), s.off("since")
	l.answer, l.freed, l.held = s.off("answer"), s.off("freed"), s.off("held")
	l.method, l.path, l.client = s.off("method"), s.off("path"), s.off("client")

	l.parent, l.parentGen, l.entry = s.later("parent"), s.later("parentGen"), s.later("entry")
	if l.route = s.later("route"); l.route != absent {
		l.slotText[l.route] = s.textCap("route")
	}

	r := &fieldReader{t: rule}
	l.ruleSize = rule.ByteSize
	l.rAddr, l.rBits, l.rIs4 = r.off("addr"), r.off("bits"), r.off("is4")
	l.rMethod, l.rPath, l.rHeader, l.rValue = r.off("method"), r.off("path"), r.off("header"), r.off("value")
	l.rToken, l.tokenKey = r.later("token"), b.later("tokenKey")
	for _, name := range []string{"method", "path", "header", "value"} {
		l.ruleText[r.off(name)] = r.textCap(name)
	}
	for _, name := range []string{"method", "path", "client"} {
		l.slotText[s.off(name)] = s.textCap(name)
	}

	l.addTraffic(b)
	l.addSights(b)

	j := &fieldReader{t: journal}
	l.journalSize = journal.ByteSize
	l.jN, l.jPC, l.jFlags = j.off("n"), j.off("pc"), j.off("flags")
	l.jHoming, l.jState = j.off("homing"), j.off("state")
	if _, t := j.field("state"); t != nil {
		l.jCap = t.Size()
	}

	if err := errors.Join(slices.Concat(b.errs, s.errs, r.errs, j.errs)...); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrABI, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return l, nil
}

// addTraffic finds the fields that count everybody's requests.
func (l *layout) addTraffic(b *fieldReader) {
	if l.epoch = b.later("epoch"); l.epoch == absent {
		return
	}
	var epoch *dwarf.StructType
	l.epochs, l.numEpochs, epoch = b.array("epochs")
	e := &fieldReader{t: epoch}
	l.epochSize, l.eBegun, l.eEnded = epoch.ByteSize, e.off("begun"), e.off("ended")
	b.errs = append(b.errs, e.errs...)
}

// addSights finds the fields that show clients to a person.
func (l *layout) addSights(b *fieldReader) {
	if l.looking = b.later("looking"); l.looking == absent {
		return
	}
	l.sighted = b.off("sighted")
	var sight *dwarf.StructType
	l.sights, l.numSights, sight = b.array("sights")
	g := &fieldReader{t: sight}
	l.sightSize, l.gN = sight.ByteSize, g.off("n")
	l.gPeer, l.gClient, l.gReason = g.off("peer"), g.off("client"), g.off("reason")
	l.gMethod, l.gPath = g.off("method"), g.off("path")
	l.seenText = make(map[int64]int64)
	for _, name := range []string{"peer", "client", "reason", "method", "path"} {
		l.seenText[g.off(name)] = g.textCap(name)
	}
	b.errs = append(b.errs, g.errs...)
}
