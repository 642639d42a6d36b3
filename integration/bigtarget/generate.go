//go:build linux

package main

import (
	"fmt"
	"strings"
)

// messages is how many a generated package has.
const messages = 40

// generate makes the files of the service, by name. root is the checkout, from
// which the service takes the gate.
func generate(packages int, root string) map[string]string {
	files := map[string]string{
		"go.mod": fmt.Sprintf(`module example.com/bigtarget

go 1.24.0

require (
	github.com/remotedbg/remotedbg/gate v0.0.0
	github.com/remotedbg/remotedbg/middleware v0.0.0
)

replace (
	github.com/remotedbg/remotedbg/gate => %s/gate
	github.com/remotedbg/remotedbg/middleware => %s/middleware
)
`, root, root),
		"wire/wire.go": wireSource,
		"main.go":      mainSource(packages),
	}
	for p := range packages {
		name := packageName(p)
		for m := range messages {
			files[fmt.Sprintf("api/%s/message%02d.go", name, m)] = messageSource(name, p, m)
		}
		files["api/"+name+"/all.go"] = allSource(name, p)
	}
	return files
}

func packageName(p int) string { return fmt.Sprintf("svc%03d", p) }

// field is one of a message's.
type field struct{ name, typ, kind string }

// fieldsOf varies with the package and the message, so that types differ.
func fieldsOf(p, m int) []field {
	kinds := []field{
		{"", "string", "String"}, {"", "int64", "Int"}, {"", "bool", "Bool"}, {"", "float64", "Float"},
		{"", "[]byte", "Bytes"}, {"", "[]string", "Strings"}, {"", "map[string]int64", "Counts"},
	}
	var list []field
	for i := range 10 + (p+m)%5 {
		f := kinds[(p*7+m*3+i*5+i*i)%len(kinds)]
		f.name = fmt.Sprintf("%s%d", f.kind, i)
		list = append(list, f)
	}
	return list
}

// messageSource is a type as protoc-gen-go and its plug-ins make them.
func messageSource(pkg string, p, m int) string {
	var b strings.Builder
	name := fmt.Sprintf("Message%02d", m)
	fields := fieldsOf(p, m)
	f := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	f("package %s\n\nimport (\n\t\"errors\"\n\t\"fmt\"\n\n\t\"example.com/bigtarget/wire\"\n)\n\n", pkg)
	f("// %s is generated.\ntype %s struct {\n\tParent *%s\n\tChildren []*%s\n", name, name, name, name)
	for _, x := range fields {
		f("\t%s %s `json:%q`\n", x.name, x.typ, strings.ToLower(x.name))
	}
	f("}\n\n")
	f("func (m *%s) Reset() { *m = %s{} }\n\n", name, name)
	f("func (m *%s) String() string { return fmt.Sprintf(\"%%+v\", *m) }\n\n", name)
	for _, x := range fields {
		f("func (m *%s) Get%s() (v %s) {\n\tif m != nil {\n\t\treturn m.%s\n\t}\n\treturn v\n}\n\n", name, x.name, x.typ, x.name)
		f("func (m *%s) With%s(v %s) *%s {\n\tc := *m\n\tc.%s = v\n\treturn &c\n}\n\n", name, x.name, x.typ, name, x.name)
	}
	f("func (m *%s) Marshal(b []byte) ([]byte, error) {\n\tif m == nil {\n\t\treturn b, errors.New(\"nil message\")\n\t}\n", name)
	for i, x := range fields {
		f("\tb = wire.Put%s(b, %d, m.%s)\n", x.kind, i+1, x.name)
	}
	f("\tfor _, c := range m.Children {\n\t\tvar err error\n\t\tif b, err = c.Marshal(b); err != nil {\n\t\t\treturn b, fmt.Errorf(\"child of %s: %%w\", err)\n\t\t}\n\t}\n\treturn b, nil\n}\n\n", name)
	f("func (m *%s) Unmarshal(b []byte) error {\n\tfor len(b) > 0 {\n\t\ttag, rest, err := wire.Tag(b)\n\t\tif err != nil {\n\t\t\treturn fmt.Errorf(\"%s: %%w\", err)\n\t\t}\n\t\tb = rest\n\t\tswitch tag {\n", name, name)
	for i, x := range fields {
		f("\t\tcase %d:\n\t\t\tif m.%s, b, err = wire.Take%s(b); err != nil {\n\t\t\t\treturn fmt.Errorf(\"%s.%s: %%w\", err)\n\t\t\t}\n", i+1, x.name, x.kind, name, x.name)
	}
	f("\t\tdefault:\n\t\t\treturn fmt.Errorf(\"%s: unknown tag %%d\", tag)\n\t\t}\n\t}\n\treturn nil\n}\n\n", name)
	f("func (m *%s) Equal(o *%s) bool {\n\tif m == nil || o == nil {\n\t\treturn m == o\n\t}\n", name, name)
	for _, x := range fields {
		f("\tif !wire.Same%s(m.%s, o.%s) {\n\t\treturn false\n\t}\n", x.kind, x.name, x.name)
	}
	f("\treturn true\n}\n\n")
	f("// Total%02d uses the generics with this type.\nfunc Total%02d(list []%s) int64 {\n", m, m, name)
	f("\tvar cache wire.Cache[string, %s]\n\tfor i, x := range list {\n\t\tcache.Put(fmt.Sprint(i), x)\n\t}\n", name)
	f("\tkept := wire.Filter(list, func(x %s) bool { return x.Parent != nil })\n", name)
	f("\tsizes := wire.Map(kept, func(x %s) int64 {\n\t\tb, _ := x.Marshal(nil)\n\t\treturn int64(len(b))\n\t})\n", name)
	f("\treturn wire.Sum(sizes) + int64(cache.Len()) + int64(wire.GroupBy(list, func(x %s) string { return x.String() }).Len())\n}\n", name)
	return b.String()
}

// allSource lists the messages of a package in a way that keeps the linker from
// dropping them.
func allSource(pkg string, p int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "// Package %s is generated.\npackage %s\n\nimport \"example.com/bigtarget/wire\"\n\n", pkg, pkg)
	fmt.Fprintf(&b, "// All makes one message of each type.\nfunc All() []wire.Message {\n\treturn []wire.Message{\n")
	for m := range messages {
		fmt.Fprintf(&b, "\t\t&Message%02d{},\n", m)
	}
	fmt.Fprintf(&b, "\t}\n}\n\n// Total sums up all types.\nfunc Total() (n int64) {\n")
	for m := range messages {
		fmt.Fprintf(&b, "\tn += Total%02d([]Message%02d{{}, {Parent: &Message%02d{}}})\n", m, m, m)
	}
	fmt.Fprintf(&b, "\treturn n + %d\n}\n", p)
	return b.String()
}
