package taint

import (
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
)

// layout is what a search asks of a struct type: the same few hundred come again
// at each stop.
type layout struct {
	container, library bool
	fields             []field
	keys               []field // those of a key beside a value
}

type field struct {
	t      godwarf.Type
	offset uint64
	tagged bool
	hot    bool // by its name, its type or its tag
	value  bool // that its key tells of
}

// maxLayouts bounds those that are remembered.
const maxLayouts = 8192

// layout is that of a type by this guard's rules. Called under the lock that
// serialises the use of Delve.
func (g *Guard) layout(st *godwarf.StructType) *layout {
	if l := g.layouts[st]; l != nil {
		return l
	}
	l := &layout{container: isContainer(st.StructName), library: isLibrary(st.StructName)}
	hasValue := false
	for _, f := range st.Field {
		tagged := g.Tagged(st.StructName, f.Name)
		l.fields = append(l.fields, field{
			t: f.Type, offset: uint64(f.ByteOffset), tagged: tagged,
			hot: tagged || g.Var(f.Name, f.Type), value: isValueName(f.Name),
		})
		hasValue = hasValue || isValueName(f.Name)
	}
	if hasValue && len(st.Field) >= 2 && len(st.Field) <= 8 {
		for i, f := range st.Field {
			if isKeyName(f.Name) {
				l.keys = append(l.keys, l.fields[i])
			}
		}
	}
	if !g.shared.program.loaded {
		return l // the tags are not known yet
	}
	if g.layouts == nil || len(g.layouts) >= maxLayouts {
		g.layouts = make(map[*godwarf.StructType]*layout)
	}
	g.layouts[st] = l
	return l
}

// isContainer tells the structs of the standard library that hold what a program
// puts there: they are as near as what they are in.
func isContainer(name string) bool {
	for _, pkg := range []string{"sync.", "sync/atomic.", "internal/sync.", "container/", "struct {"} {
		if strings.HasPrefix(name, pkg) {
			return true
		}
	}
	return false
}

// isLibrary tells the structs of the standard library but for those of which
// every request has one.
func isLibrary(name string) bool {
	switch name {
	case "net/http.Request", "net/url.URL", "net/url.Userinfo", "net/http.response", "context.valueCtx":
		return false
	}
	first, _, _ := strings.Cut(name, "/")
	pkg, _, _ := strings.Cut(first, ".")
	return pkg != "main" && pkg == first || pkg != "main" && !strings.Contains(name, "/")
}
