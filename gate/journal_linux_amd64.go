package gate

//lint:file-ignore U1000 pad uses all of this, in assembly

// maxXState is the largest XSAVE area that a journal holds: with AMX the
// kernel's is 11008 bytes (2752 with AVX-512).
const maxXState = 12 << 10

// journal is what the agent noted of a thread before it made it call park.
// Written by the agent, read by pad. ABI, like the board.
type journal struct {
	n      uint64 // bytes of state; 0: none
	pc     uint64 // where the thread goes on
	flags  uint64 // RFLAGS
	homing uint64 // both: 1 from the protocol's last stop until pc is reached
	state  [maxXState]byte
}

// journals belongs to the slots of theBoard. It is a variable of its own so
// that it takes no room in the binary.
var journals [numSlots]journal
