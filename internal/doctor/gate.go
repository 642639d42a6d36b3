//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"

	"github.com/remotedbg/remotedbg/internal/board"
)

// gateModule is the module of the gate, as build information names it.
const gateModule = "github.com/remotedbg/remotedbg/gate"

const (
	addMiddleware = "import github.com/remotedbg/remotedbg/middleware in the service and wrap its handler with middleware.Handler"
	keepSymbols   = "build the service without -ldflags='-s -w': the symbols are what the debugger reads"
	sameVersion   = "use the remotedbg of the version that the service's go.mod names for remotedbg/gate"
)

func checkGate(s *subject) Result {
	_, err := s.img()
	version := ""
	if exe, err := s.exe(); err == nil {
		version = gateVersion(exe)
	}
	return judgeGate(version, err)
}

// judgeGate looks at what board.Locate said, and at the version of the gate's
// module in the build information, empty if it is not listed.
func judgeGate(version string, err error) Result {
	switch {
	case err == nil && version == "":
		return pass("the gate is linked in")
	case err == nil:
		return pass("the gate is linked in, version %s", version)
	case errors.Is(err, board.ErrNoGate):
		return fail("the service has no gate", addMiddleware)
	case errors.Is(err, board.ErrNotGo):
		return fail("the service has no gate: it is no Go program", "name the process of the Go service itself, not of a wrapper script or container runtime")
	case errors.Is(err, board.ErrStripped) && version == "":
		return warn("not checked: the service is stripped, and its build information lists no gate either", keepSymbols+"\n"+addMiddleware)
	case errors.Is(err, board.ErrStripped):
		return warn(fmt.Sprintf("not checked: the service is stripped; its build information lists the gate, version %s", version), keepSymbols)
	}
	return unknown(err)
}

func gateVersion(exe *executable) string {
	if exe.infoErr != nil {
		return ""
	}
	for _, dep := range exe.info.Deps {
		if dep.Path == gateModule {
			return dep.Version
		}
	}
	return ""
}

// noBoard is why a check of the board was not made if there is none to read:
// another line fails for it.
func noBoard(err error) Result {
	for _, known := range []error{board.ErrNoGate, board.ErrNotGo, board.ErrStripped, board.ErrABI} {
		if errors.Is(err, known) {
			return warn(fmt.Sprintf("not checked: %v", known), "see the lines gate, symbols and dwarf")
		}
	}
	return unknown(err)
}

func checkBoard(s *subject) Result {
	_, err := s.board()
	switch {
	case err == nil:
		return pass("readable, of the ABI that this agent speaks")
	case errors.Is(err, board.ErrABI):
		return fail(err.Error(), sameVersion)
	case denied(err):
		return fail(err.Error(), asRoot)
	}
	return noBoard(err)
}

func checkArmed(s *subject) Result {
	b, err := s.board()
	if err != nil {
		return noBoard(err)
	}
	owner, err := b.Owner()
	if err != nil {
		return unknown(err)
	}
	if owner == 0 {
		return pass("no agent holds a lease")
	}
	return fail(fmt.Sprintf("an agent has armed the gate: %s, by the numbers of its own pid namespace", s.describe(owner)),
		"stop that agent first, or wait five seconds if it has died: its lease runs out")
}

// checkSlots looks for what an agent that died has left behind.
func checkSlots(s *subject) Result {
	b, err := s.board()
	if err != nil {
		return noBoard(err)
	}
	owner, err1 := b.Owner()
	var buf []byte
	slots, err2 := b.ReadSlots(nil, &buf)
	if err := errors.Join(err1, err2); err != nil {
		return unknown(err)
	}
	return judgeSlotTable(slots, owner)
}

func judgeSlotTable(slots []board.Slot, owner int) Result {
	used := 0
	for _, slot := range slots {
		if slot.State != board.StateFree {
			used++
		}
	}
	switch {
	case used == 0:
		return pass("all %d are free", len(slots))
	case owner != 0:
		return pass("%d of %d hold requests of the agent that armed the gate", used, len(slots))
	}
	return warn(fmt.Sprintf("%d of %d were left behind by an agent that died", used, len(slots)),
		"the next attach heals them; remotedbg recover does that alone")
}
