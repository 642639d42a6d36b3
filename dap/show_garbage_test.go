//go:build linux && amd64

package dap_test

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	godap "github.com/google/go-dap"
)

// TestGarbage overwrites the values that are shown with what a broken program
// may leave there, and looks at them: every answer must come, soon and of a
// bounded size, and no inspection may panic.
func TestGarbage(t *testing.T) {
	b, p := frozenAt(t, "shown", "-gcflags=all=-N -l")
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	g := &garbage{t: t, mem: p.target().Memory(), random: random}
	g.find(p)
	for range rounds {
		g.scatter()
		began := time.Now()
		locals, err := b.Locals(1)
		must(t, err)
		n := 0
		for _, v := range locals {
			n += len(v.Value)
			if v.VariablesReference == 0 || random.IntN(4) != 0 {
				continue
			}
			rows, err := b.VariablesPage(godap.VariablesArguments{VariablesReference: v.VariablesReference})
			if err != nil {
				if !strings.Contains(err.Error(), "remotedbg: ") || strings.Contains(err.Error(), "panic") {
					t.Errorf("%s: %v", v.Name, err)
				}
				continue
			}
			for _, row := range rows {
				n += len(row.Value)
			}
		}
		if took := time.Since(began); took > 5*time.Second || n > 1<<20 {
			t.Errorf("%v for %d bytes of values", took, n)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.log {
		if strings.Contains(line, "panic") {
			t.Errorf("seed %d: %s", seed, line)
		}
	}
}

// garbage writes into the variables of a frame and into what they point to.
type garbage struct {
	t      *testing.T
	mem    proc.MemoryReadWriter
	random *rand.Rand
	words  []uint64 // addresses that are written to
}

func (g *garbage) find(p *program) {
	scope, err := proc.ThreadScope(p.target(), p.target().CurrentThread())
	must(g.t, err)
	vars, err := scope.LocalVariables(proc.LoadConfig{FollowPointers: true, MaxVariableRecurse: 1, MaxStructFields: -1, MaxArrayValues: 4})
	must(g.t, err)
	add := func(addr uint64, size int64) {
		if addr>>47 != 0 || addr == 0 {
			return
		}
		for off := uint64(0); off < uint64(min(size, 128)); off += 8 {
			g.words = append(g.words, addr+off)
		}
	}
	for _, v := range vars {
		add(v.Addr, v.RealType.Size())
		for i := range v.Children {
			if c := &v.Children[i]; c.RealType != nil {
				add(c.Addr, c.RealType.Size())
			}
		}
	}
	if len(g.words) < 100 {
		g.t.Fatalf("%d words to write to", len(g.words))
	}
}

// scatter writes a few words: pointers into other values, lengths that lie,
// addresses that are not mapped, noise.
func (g *garbage) scatter() {
	for range 20 {
		var word uint64
		switch g.random.IntN(6) {
		case 0:
			word = g.words[g.random.IntN(len(g.words))]
		case 1:
			word = g.random.Uint64()
		case 2:
			word = uint64(g.random.IntN(1 << 30))
		case 3:
			word = 1<<63 - uint64(g.random.IntN(64))
		case 4:
			word = 0xdeadbeef000 + uint64(g.random.IntN(4096))
		}
		var buf [8]byte
		binary.LittleEndian.PutUint64(buf[:], word)
		if _, err := g.mem.WriteMemory(g.words[g.random.IntN(len(g.words))], buf[:]); err != nil {
			continue // a constant, in memory that is not writable
		}
	}
}
