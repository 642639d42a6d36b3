//go:build linux && amd64

package board

import "encoding/binary"

// Epoch is how many untouched requests began in one epoch, and how many of
// those have ended. Both only grow, modulo 2^32, and are those of all epochs
// that had this one's place on the board.
type Epoch struct{ Begun, Ended uint32 }

// NumEpochs is how many epochs the board holds; 0 if the gate in the service
// does not count.
func (b *Board) NumEpochs() int {
	if b.l.epoch == absent {
		return 0
	}
	return int(b.l.numEpochs)
}

// SetEpoch begins the epoch of that number, of which the lower 24 bits count.
// One request in mask+1 is counted; mask is one less than a power of two, below
// 256.
func (b *Board) SetEpoch(number uint32, mask uint8) error {
	return b.mem.PutUint32(b.base+uint64(b.l.epoch), number<<8|uint32(mask))
}

// ReadEpochs reads all places into dst, which it returns resized.
func (b *Board) ReadEpochs(dst []Epoch) ([]Epoch, error) {
	buf := make([]byte, b.l.numEpochs*b.l.epochSize)
	if _, err := b.mem.ReadMemory(buf, b.base+uint64(b.l.epochs)); err != nil {
		return dst[:0], err
	}
	dst = dst[:0]
	for i := range b.l.numEpochs {
		at := buf[i*b.l.epochSize:]
		dst = append(dst, Epoch{
			Begun: binary.LittleEndian.Uint32(at[b.l.eBegun:]),
			Ended: binary.LittleEndian.Uint32(at[b.l.eEnded:]),
		})
	}
	return dst, nil
}

// stopCounting ends what the service does for the agent beside the rules.
func (b *Board) stopCounting() error {
	if b.l.epoch == absent {
		return nil
	}
	return b.mem.PutUint32(b.base+uint64(b.l.epoch), 0)
}
