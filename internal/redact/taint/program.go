package taint

import (
	"fmt"
	"go/constant"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
)

// program is what is learnt once about the service.
type program struct {
	loaded  bool
	globals []global // package variables whose name is a secret's

	roLow, roHigh uint64 // what the linker made read-only: string literals are in it

	dynamic map[uint64]dynamic // what interfaces hold, by their first word
}

type global struct {
	t    godwarf.Type
	addr uint64
	hot  bool
}

// dynamic is the type that an interface with a certain first word holds.
type dynamic struct {
	t      godwarf.Type
	inside bool // the second word is the value
}

// maxGlobals bounds the package variables that are looked into at a stop.
const maxGlobals = 512

// Load reads what is the same all the time: tags, and where package variables
// with a secret's name are. t may be any target of the process. It takes a look at
// every package variable's debug information, so it is for before a request is
// there to wait for it.
func (g *Guard) Load(t *proc.Target, mem *Memory) error {
	p := &g.shared.program
	if p.loaded {
		return nil
	}
	p.loaded = true
	p.dynamic = make(map[uint64]dynamic)
	var err error
	mem.plainly(func() { err = g.load(t, mem) })
	return err
}

func (g *Guard) load(t *proc.Target, mem *Memory) error {
	scope, err := packageScope(t)
	if err != nil {
		return err
	}
	p := &g.shared.program
	for name, to := range map[string]*uint64{"rodata": &p.roLow, "noptrdata": &p.roHigh} {
		if v, err := scope.EvalExpression("runtime.firstmoduledata."+name, addressOnly); err == nil && v.Value != nil {
			*to, _ = constant.Uint64Val(v.Value)
		}
	}
	vars, err := scope.PackageVariables(addressOnly)
	if err != nil {
		return fmt.Errorf("list the package variables: %w", err)
	}
	for _, v := range vars {
		if v.Addr == 0 || v.DwarfType == nil || v.Flags&proc.VariableConstant != 0 || len(p.globals) >= maxGlobals {
			continue
		}
		if g.Var(v.Name, v.DwarfType) {
			p.globals = append(p.globals, global{v.DwarfType, v.Addr, true})
		}
	}
	return g.shared.tags.load(scope, mem)
}

// packageScope is one in which package variables are visible.
func packageScope(t *proc.Target) (*proc.EvalScope, error) {
	at := proc.Location{}
	for _, fn := range t.BinInfo().LookupFunc()["main.main"] {
		at = proc.Location{PC: fn.Entry, Fn: fn}
	}
	regs, err := t.CurrentThread().Registers()
	if err != nil {
		return nil, err
	}
	frame := proc.Stackframe{Current: at, Call: at, Regs: *t.BinInfo().Arch.RegistersToDwarfRegisters(0, regs)}
	return proc.FrameToScope(t, t.Memory(), nil, 0, frame), nil
}
