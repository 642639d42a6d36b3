//go:build linux

package harness

import (
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// Slots reads the state word of every slot of the gate's board in a process; a
// state of 0 is a free slot. It finds them by the names in the binary's debug
// information, independently of how the agent does it.
func Slots(pid int) ([]uint32, error) {
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	defer f.Close()
	bias, err := loadBias(pid, f)
	if err != nil {
		return nil, err
	}
	addr, err := boardAddress(f)
	if err != nil {
		return nil, err
	}
	slots, err := slotStates(f)
	if err != nil {
		return nil, err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	defer mem.Close()
	states := make([]uint32, len(slots))
	for i, off := range slots {
		var word [4]byte
		if _, err := mem.ReadAt(word[:], int64(addr+bias)+off); err != nil {
			return nil, fmt.Errorf("harness: read slot %d: %w", i, err)
		}
		states[i] = binary.LittleEndian.Uint32(word[:])
	}
	return states, nil
}

// SlotsFree fails if a slot of the gate's board is taken.
func SlotsFree(pid int) error {
	states, err := Slots(pid)
	if err != nil {
		return err
	}
	for _, s := range states {
		if s != 0 {
			return fmt.Errorf("harness: slots of process %d are taken: states %v", pid, states)
		}
	}
	return nil
}

func boardAddress(f *elf.File) (uint64, error) {
	return symbolIn(f, "github.com/remotedbg/remotedbg/gate.theBoard")
}

// slotStates returns the offset in the board of the state word of every slot.
func slotStates(f *elf.File) ([]int64, error) {
	data, err := f.DWARF()
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	board, err := findStruct(data, "github.com/remotedbg/remotedbg/gate.board")
	if err != nil {
		return nil, err
	}
	slots := field(board, "slots")
	if slots == nil {
		return nil, errors.New("harness: the board has no slots")
	}
	array, isArray := slots.Type.(*dwarf.ArrayType)
	if !isArray {
		return nil, fmt.Errorf("harness: the board's slots are %v", slots.Type)
	}
	slot, isStruct := underlying(array.Type).(*dwarf.StructType)
	if !isStruct || field(slot, "state") == nil {
		return nil, fmt.Errorf("harness: a slot is %v", array.Type)
	}
	offsets := make([]int64, array.Count)
	for i := range offsets {
		offsets[i] = slots.ByteOffset + int64(i)*slot.ByteSize + field(slot, "state").ByteOffset
	}
	return offsets, nil
}

func findStruct(data *dwarf.Data, name string) (*dwarf.StructType, error) {
	for r := data.Reader(); ; {
		e, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("harness: %w", err)
		}
		if e == nil {
			return nil, fmt.Errorf("harness: no type %s in the debug information", name)
		}
		if e.Val(dwarf.AttrName) != name || e.Tag != dwarf.TagStructType && e.Tag != dwarf.TagTypedef {
			continue
		}
		t, err := data.Type(e.Offset)
		if err != nil {
			return nil, fmt.Errorf("harness: %w", err)
		}
		if st, ok := underlying(t).(*dwarf.StructType); ok {
			return st, nil
		}
	}
}

func underlying(t dwarf.Type) dwarf.Type {
	for {
		def, ok := t.(*dwarf.TypedefType)
		if !ok {
			return t
		}
		t = def.Type
	}
}

func field(st *dwarf.StructType, name string) *dwarf.StructField {
	for _, f := range st.Field {
		if f.Name == name {
			return f
		}
	}
	return nil
}
