//go:build linux && amd64

package session

import "testing"

func TestClassify(t *testing.T) {
	const own = "github.com/remotedbg/remotedbg/"
	for _, c := range []struct {
		pkg, module string
		want        textClass
	}{
		{"main", "example.com/shop", classUser},
		{"main", "", classUser},
		{"example.com/shop", "example.com/shop", classUser},
		{"example.com/shop/internal/store", "example.com/shop", classUser},
		{"example.com/shopping", "example.com/shop", classOther},
		{"net/http", "example.com/shop", classOther},
		{"net/http", "", classOther},
		{"runtime", "example.com/shop", classRuntime},
		{"runtime/internal/atomic", "example.com/shop", classRuntime},
		{"internal/runtime/maps", "example.com/shop", classRuntime},
		{"runtime/debug", "example.com/shop", classOther},
		{"runtimes", "runtimes", classUser},
		{"reflect", "example.com/shop", classPinned},
		{own + "gate", "example.com/shop", classOther},
		{own + "middleware", "example.com/shop", classOther},
		{own + "middleware/gin", "example.com/shop", classOther},
		// The example service is built inside this module's name.
		{own + "gate", "github.com/remotedbg/remotedbg", classOther},
		{own + "integration/targets/shop", own + "integration/targets", classUser},
		{"", "example.com/shop", classOther},
	} {
		if got := classify(c.pkg, c.module); got != c.want {
			t.Errorf("classify(%q, %q) = %d, want %d", c.pkg, c.module, got, c.want)
		}
	}
}

func TestTextMap(t *testing.T) {
	m := &textMap{
		start:   []uint64{0x1000, 0x1100, 0x1300, 0x1400, 0x1500},
		end:     []uint64{0x1100, 0x1200, 0x1380, 0x1500, 0x1600},
		class:   []textClass{classUser, classRuntime, classOther, classPinned, classUser},
		inlined: [][2]uint64{{0x1010, 0x1018}, {0x1320, 0x1330}},
	}
	for _, c := range []struct {
		name                    string
		pc                      uint64
		index                   int
		bounds                  [2]uint64
		user, runtime, noFreeze bool
	}{
		{"below everything", 0xfff, -1, [2]uint64{}, false, false, true},
		{"first byte", 0x1000, 0, [2]uint64{0x1000, 0x1100}, true, false, false},
		{"last byte", 0x10ff, 0, [2]uint64{0x1000, 0x1100}, true, false, false},
		{"the next function", 0x1100, 1, [2]uint64{0x1100, 0x1200}, false, true, true},
		{"a gap", 0x1200, -1, [2]uint64{}, false, false, true},
		{"behind the gap", 0x1300, 2, [2]uint64{0x1300, 0x1380}, false, false, false},
		{"behind its end", 0x1380, -1, [2]uint64{}, false, false, true},
		{"assembly", 0x1400, 3, [2]uint64{0x1400, 0x1500}, false, false, true},
		{"last function", 0x15ff, 4, [2]uint64{0x1500, 0x1600}, true, false, false},
		{"above everything", 0x1600, -1, [2]uint64{}, false, false, true},
		{"before what is inlined", 0x100f, 0, [2]uint64{0x1000, 0x1100}, true, false, false},
		{"inlined runtime", 0x1010, 0, [2]uint64{0x1000, 0x1100}, true, false, true},
		{"its last byte", 0x1017, 0, [2]uint64{0x1000, 0x1100}, true, false, true},
		{"behind it", 0x1018, 0, [2]uint64{0x1000, 0x1100}, true, false, false},
		{"the second one", 0x1325, 2, [2]uint64{0x1300, 0x1380}, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := m.find(c.pc); got != c.index {
				t.Errorf("find = %d, want %d", got, c.index)
			}
			if got := m.bounds(c.pc); got != c.bounds {
				t.Errorf("bounds = %x, want %x", got, c.bounds)
			}
			if m.user(c.pc) != c.user || m.runtime(c.pc) != c.runtime || m.noFreeze(c.pc) != c.noFreeze {
				t.Errorf("user %t, runtime %t, noFreeze %t", m.user(c.pc), m.runtime(c.pc), m.noFreeze(c.pc))
			}
		})
	}
	if empty := (&textMap{}); empty.find(1) != -1 || empty.user(1) {
		t.Error("an empty map knows a function")
	}
}

func TestAssemblyFolders(t *testing.T) {
	got := assemblyFolders([]string{
		"/go/src/crypto/sha256/sha256block_amd64.s", "/go/src/net/http/server.go",
		"/mod/github.com/klauspost/compress@v1.17.0/fast_amd64.s",
	})
	for name, want := range map[string]bool{"sha256": true, "compress": true, "main": true, "http": false} {
		if got[name] != want {
			t.Errorf("%s: %t, want %t", name, got[name], want)
		}
	}
	if len(assemblyFolders([]string{"/a/b.go"})) != 0 {
		t.Error("folders without assembly")
	}
}
