//go:build linux && amd64

package board

// Words of the board that the tests corrupt.
func (b *Board) ABIAddr() uint64     { return b.base + uint64(b.l.abi) }
func (b *Board) MagicAddr() uint64   { return b.base + uint64(b.l.magic) }
func (b *Board) RuleGenAddr() uint64 { return b.base + uint64(b.l.ruleGen) }
func (b *Board) NumRules() int       { return int(b.l.numRules) }

// Matched is the service's own count of the requests that fitted the rules.
func (b *Board) Matched() (uint64, error) { return b.mem.Uint64(b.base + uint64(b.l.matched)) }
