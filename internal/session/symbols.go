//go:build linux && amd64

package session

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/board"
)

// textMap classifies addresses. It is immutable, so that tracing goroutines may
// use it while Delve's tables are in use elsewhere.
type textMap struct {
	start, end []uint64
	class      []textClass
}

type textClass uint8

const (
	classOther   textClass = iota
	classUser              // the main module: whose first line stopOnEntry is about
	classRuntime           // the Go runtime: calls nothing of the user's that matters
)

// find gives the index of the function around pc, or -1.
func (m *textMap) find(pc uint64) int {
	i := sort.Search(len(m.start), func(i int) bool { return m.start[i] > pc }) - 1
	if i < 0 || pc >= m.end[i] {
		return -1
	}
	return i
}

func (m *textMap) bounds(pc uint64) [2]uint64 {
	if i := m.find(pc); i >= 0 {
		return [2]uint64{m.start[i], m.end[i]}
	}
	return [2]uint64{}
}

func (m *textMap) is(pc uint64, c textClass) bool {
	i := m.find(pc)
	return i >= 0 && m.class[i] == c
}

func (m *textMap) user(pc uint64) bool    { return m.is(pc, classUser) }
func (m *textMap) runtime(pc uint64) bool { return m.is(pc, classRuntime) }

// loadSymbols reads the executable's debug information without touching the
// process.
func loadSymbols(img *board.Image) (*proc.BinaryInfo, *textMap, error) {
	bi := proc.NewBinaryInfo("linux", "amd64", false)
	if err := bi.LoadBinaryInfo(img.Path, img.Entry, nil); err != nil {
		return nil, nil, err
	}
	if len(bi.Functions) == 0 {
		return nil, nil, fmt.Errorf("%w: no functions in its debug information", board.ErrStripped)
	}
	info, err := buildinfo.ReadFile(img.Path)
	if err != nil {
		return nil, nil, fmt.Errorf("read build information: %w", err)
	}
	m := &textMap{}
	for i := range bi.Functions {
		fn := &bi.Functions[i]
		if fn.Entry == 0 || fn.End <= fn.Entry {
			continue // inlined everywhere
		}
		if n := len(m.end); n > 0 && fn.Entry < m.end[n-1] {
			continue // the same text twice
		}
		m.start, m.end = append(m.start, fn.Entry), append(m.end, fn.End)
		m.class = append(m.class, classify(fn.PackageName(), info.Main.Path))
	}
	if len(m.start) == 0 {
		return nil, nil, errors.New("no function has an address")
	}
	return bi, m, nil
}

func classify(pkg, mainModule string) textClass {
	const own = "github.com/remotedbg/remotedbg/"
	switch {
	case pkg == "runtime", strings.HasPrefix(pkg, "runtime/internal/"), strings.HasPrefix(pkg, "internal/runtime/"):
		return classRuntime
	case pkg == own+"gate", pkg == own+"middleware", strings.HasPrefix(pkg, own+"middleware/"):
		return classOther
	case pkg == "main", pkg == mainModule, mainModule != "" && strings.HasPrefix(pkg, mainModule+"/"):
		return classUser
	}
	return classOther
}
