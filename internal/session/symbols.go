//go:build linux && amd64

package session

import (
	"cmp"
	"debug/buildinfo"
	"debug/dwarf"
	"errors"
	"fmt"
	"path"
	"slices"
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
	names      []string    // the functions'
	inlined    [][2]uint64 // where functions that must not be frozen in are inlined, sorted
}

type textClass uint8

const (
	classOther   textClass = iota
	classUser              // the main module: whose first line stopOnEntry is about
	classRuntime           // the Go runtime: calls nothing of the user's that matters
	classPinned            // assembly, reflect: must not be frozen in
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

// name is the function at pc; empty if there is none.
func (m *textMap) name(pc uint64) string {
	if i := m.find(pc); i >= 0 {
		return m.names[i]
	}
	return ""
}

func (m *textMap) user(pc uint64) bool    { return m.is(pc, classUser) }
func (m *textMap) runtime(pc uint64) bool { return m.is(pc, classRuntime) }

// noFreeze says whether a request must not be frozen at pc. It is what the
// runtime refuses for its own asynchronous preemption (runtime/preempt.go,
// isAsyncSafePoint) beyond what debugCallCheck refuses: assembly, whose frames
// the garbage collector cannot scan, and the insides of the runtime and of
// reflect, also where they are inlined.
func (m *textMap) noFreeze(pc uint64) bool {
	i := m.find(pc)
	if i < 0 || m.class[i] == classRuntime || m.class[i] == classPinned {
		return true
	}
	k := sort.Search(len(m.inlined), func(k int) bool { return m.inlined[k][0] > pc }) - 1
	return k >= 0 && pc < m.inlined[k][1]
}

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
	assembly := assemblyFolders(bi.Sources)
	for i := range bi.Functions {
		fn := &bi.Functions[i]
		if fn.Entry == 0 || fn.End <= fn.Entry {
			continue // inlined everywhere
		}
		if n := len(m.end); n > 0 && fn.Entry < m.end[n-1] {
			continue // the same text twice
		}
		m.start, m.end = append(m.start, fn.Entry), append(m.end, fn.End)
		pkg := fn.PackageName()
		class := classify(pkg, info.Main.Path)
		if class != classRuntime && assembly[path.Base(pkg)] && !strings.ContainsAny(fn.Name[len(pkg):], "([") {
			if file, _ := bi.EntryLineForFunc(fn); strings.HasSuffix(file, ".s") {
				class = classPinned
			}
		}
		m.class, m.names = append(m.class, class), append(m.names, fn.Name)
	}
	m.inlined = inlinedPinned(bi)
	if len(m.start) == 0 {
		return nil, nil, errors.New("no function has an address")
	}
	return bi, m, nil
}

// readLayout gives img the types that Delve has read already.
func readLayout(img *board.Image, bi *proc.BinaryInfo) error {
	rd := bi.Images[0].DwarfReader()
	if rd == nil {
		return fmt.Errorf("%w: its debug information cannot be read", board.ErrStripped)
	}
	return img.ReadLayout(rd.Reader, func(name string) (dwarf.Offset, bool) {
		t, err := bi.FindType(name)
		if err != nil {
			return 0, false
		}
		return t.Common().Offset, true
	})
}

// assemblyFolders gives the last elements of the folders that have assembly
// files: looking up the file of every function would take seconds. Package main
// may be in any folder.
func assemblyFolders(sources []string) map[string]bool {
	folders := make(map[string]bool)
	for _, file := range sources {
		if strings.HasSuffix(file, ".s") {
			name, _, _ := strings.Cut(path.Base(path.Dir(file)), "@") // a module's version
			folders[name], folders["main"] = true, true
		}
	}
	return folders
}

// inlinedPinned lists where functions of the runtime and of reflect are inlined.
func inlinedPinned(bi *proc.BinaryInfo) [][2]uint64 {
	var all [][2]uint64
	for i := range bi.Functions {
		fn := &bi.Functions[i]
		if c := classify(fn.PackageName(), ""); c != classRuntime && c != classPinned {
			continue
		}
		for _, call := range fn.InlinedCalls {
			all = append(all, [2]uint64{call.LowPC, call.HighPC})
		}
	}
	slices.SortFunc(all, func(a, b [2]uint64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(b[1], a[1])) })
	// Calls nest: joined, the one search for the last start before pc is enough.
	joined := all[:0]
	for _, r := range all {
		if n := len(joined); n > 0 && r[0] < joined[n-1][1] {
			joined[n-1][1] = max(joined[n-1][1], r[1])
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

func classify(pkg, mainModule string) textClass {
	const own = "github.com/remotedbg/remotedbg/"
	switch {
	case pkg == "runtime", strings.HasPrefix(pkg, "runtime/internal/"), strings.HasPrefix(pkg, "internal/runtime/"):
		return classRuntime
	case pkg == "reflect":
		return classPinned
	case pkg == own+"gate", pkg == own+"middleware", strings.HasPrefix(pkg, own+"middleware/"):
		return classOther
	case pkg == "main", pkg == mainModule, mainModule != "" && strings.HasPrefix(pkg, mainModule+"/"):
		return classUser
	}
	return classOther
}
