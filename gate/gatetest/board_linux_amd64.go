package gatetest

// The gate's board, see gate/board.go, which this mirrors as any agent's idea
// of it does. Nothing but the symbol ties the two together: importing gate here
// would keep gate's own tests from using this package.
const (
	boardMagic = 0x3142_4744_4d45_5201
	boardABI   = 1
	numSlots   = 32
	numRules   = 16

	slotFree      = 0
	slotOffered   = 2
	slotDone      = 4
	slotAbandoned = 5
)

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

type board struct {
	magic                           uint64
	abi, size                       uint32
	armed, agentPID                 uint32
	lease                           int64
	_                               int64        // beat
	_                               [3][2]uint64 // callText
	ruleGen, ruleCount              uint32
	rules                           [numRules]rule
	_                               [32]byte // tokenKey
	matched, declined, silent, full uint64
	slots                           [numSlots]slot
	_                               uint32        // epoch
	_                               [64][2]uint32 // epochs
	_, _                            uint32        // looking, sighted
	_                               [32]struct {  // sights
		_    uint32
		_, _ text64
		_    text128
		_    text16
		_    text128
	}
}

type rule struct {
	addr         [16]byte
	bits, is4, _ uint8 // token
	method       text16
	path         text128
	header       text64
	value        text128
}

type slot struct {
	state, gen          uint32
	tid                 int32
	answer, freed, held uint32
	since               int64
	method              text16
	path                text256
	client              text64
	route               text256
	parent, parentGen   uint32
	entry               uint64
}
