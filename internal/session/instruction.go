//go:build linux && amd64

package session

// Movements by single instructions. The values lie apart from those of whole
// lines.
const (
	commandStepInstruction command = iota + 100
	commandNextInstruction
)

// StepInstruction runs one instruction, or more if the request cannot be frozen
// behind it; see Continue.
func (s *Session) StepInstruction(id RequestID) error { return s.command(id, commandStepInstruction) }

// NextInstruction is StepInstruction, but runs over a call.
func (s *Session) NextInstruction(id RequestID) error { return s.command(id, commandNextInstruction) }
