package gate

import "unsafe"

// The board is the whole interface between a service and the agent that
// debugs it: one package-level variable without pointers, in the service's own
// memory. The agent finds it by its symbol, learns its layout from DWARF (it
// does not import this package), and reads and writes it with
// process_vm_readv(2) and process_vm_writev(2). There is no socket, listener
// or goroutine in the service.
//
// Words marked "app" are written by the service only, words marked "agent" by
// the agent only, so that neither side ever needs a compare-and-swap across
// processes: process_vm_writev has none.

const (
	boardMagic = 0x3142_4744_4d45_5201 // "\x01REMDGB1" in memory
	boardABI   = 1

	numSlots     = 32 // a request and the goroutines that it starts take one each
	numRules     = 16
	numCallTexts = 3
	numEpochs    = 64
	numSights    = 32
)

// Values of armed. The service turns armedEnding into armedNo when it has put
// back its own action for SIGTRAP.
const (
	armedNo     = 0
	armedYes    = 1
	armedEnding = 2
)

// States of a slot. Written by the service only.
//
//	free -> claimed -> offered -> running -> done -> free
//	                      |                    |
//	                      +-> free (declined   +-> abandoned (the agent did not
//	                          or no answer)        release the thread in time)
//
// An abandoned slot becomes free when the agent has released its generation or
// the lease has run out.
const (
	slotFree      = 0
	slotClaimed   = 1 // being filled in by one goroutine
	slotOffered   = 2 // published; the goroutine waits for the agent's answer
	slotRunning   = 3 // accepted: the handler runs and may be stopped
	slotDone      = 4 // the handler returned; waiting to be released
	slotAbandoned = 5 // nobody released it in time; its thread stays locked
)

// An answer is generation<<1, plus answerAccept if the agent has seized the
// thread and wants the request.
const answerAccept = 1

type board struct {
	magic uint64 // app, constant
	abi   uint32 // app, constant
	size  uint32 // app, constant: unsafe.Sizeof(board{})

	armed    uint32 // agent: armedYes or armedEnding; app: from armedEnding to armedNo
	agentPID uint32 // agent: its process id in its own namespace, for "already armed by another agent"
	lease    int64  // agent: CLOCK_MONOTONIC deadline in ns; past it the service treats itself as disarmed
	beat     int64  // agent: CLOCK_MONOTONIC time in ns of its last sign of life

	// agent: where a stop of its freeze protocol may be, as ranges (start,
	// end] of RIP: in runtime.debugCallV2, in its call frame, at the entry of
	// park. For the landing pad.
	callText [numCallTexts][2]uint64

	ruleGen   uint32 // agent: odd while the rules are being written
	ruleCount uint32 // agent
	rules     [numRules]rule
	tokenKey  [32]byte // agent: HMAC key of the tokens that rules with token ask for; written with the rules

	matched  uint64 // app: requests that matched while armed
	declined uint64 // app: of those, ran untouched because the agent said no
	silent   uint64 // app: of those, ran untouched because the agent did not answer in time
	full     uint64 // app: of those, ran untouched because every slot was taken

	slots [numSlots]slot

	// How long everybody else's requests take, for the agent's stall guard: it
	// numbers stretches of time, and the requests that begin in each and those
	// of them that have ended are counted (passing.go). No clock is read.
	epoch  uint32 // agent: number of the present epoch<<8 | mask of the share that is counted; 0: none
	epochs [numEpochs]epoch

	// Whose requests come in, while a person looks (sights.go).
	looking uint32 // agent: 1 while it wants to see them
	sighted uint32 // app: how many there were
	sights  [numSights]sight
}

// epoch counts requests that run untouched, by the epoch that they began in,
// modulo numEpochs. Both numbers only grow.
type epoch struct {
	begun uint32 // app
	ended uint32 // app
}

// sight is one request's client as the gate sees it.
type sight struct {
	n      uint32 // app: sighted when it was written, sightBusy while it is being written
	peer   text64
	client text64 // empty: unknown
	reason text128
	method text16
	path   text128
}

// rule is one allow rule as the agent writes it. Empty fields match anything.
type rule struct {
	addr   [16]byte // prefix address in its 16-byte form (IPv4 as ::ffff:a.b.c.d)
	bits   uint8    // prefix length in the 16-byte form, 0..128
	is4    uint8    // 1 for an IPv4 prefix: it never matches an IPv6 client and the other way round
	token  uint8    // 1 if the request must carry a valid token, too
	method text16
	path   text128 // path prefix
	header text64  // canonical header name
	value  text128 // value the header must equal
}

// slot is one request offered to the agent, or one goroutine that belongs to a
// request (follow.go).
type slot struct {
	state  uint32 // app: slotFree...; futex word of the offer
	gen    uint32 // app: grows by one each time the slot is claimed
	tid    int32  // app: the thread that the request's goroutine is locked to, in the service's pid namespace
	answer uint32 // agent: gen<<1, |answerAccept; futex word of the wait for an answer
	freed  uint32 // agent: gen of the last request whose thread it has let go of; futex word of the wait in done
	held   uint32 // agent: 1 while frozen; futex word of the frozen request

	since  int64 // app: CLOCK_MONOTONIC time in ns of the offer
	method text16
	path   text256
	client text64 // client address as text
	route  text256

	// Of a goroutine that belongs to a request; the texts are empty then.
	parent    uint32 // app: 1 + the slot of the request or goroutine that started it; 0: it is a request itself
	parentGen uint32 // app: and its generation
	entry     uint64 // app: address of the function that it runs
}

// Fixed-size texts: n bytes of b are used; longer texts are cut.
type (
	text16 struct {
		n uint16
		b [16]byte
	}
	text64 struct {
		n uint16
		b [64]byte
	}
	text128 struct {
		n uint16
		b [128]byte
	}
	text256 struct {
		n uint16
		b [256]byte
	}
)

// theBoard is found by its symbol name; renaming it, its package or its fields
// is an ABI change.
var theBoard = board{magic: boardMagic, abi: boardABI, size: uint32(unsafe.Sizeof(board{}))}
