//go:build linux && amd64

package dap

import (
	"cmp"
	"context"
	"fmt"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"
)

const (
	// maxCompletions bounds the answer: more is not read by anybody.
	maxCompletions = 200
	// maxGlobals bounds how many package variables are looked through.
	maxGlobals = 200_000
)

// operand is what stands before the caret: an operand, a dot, and the begin of
// a name; or the begin of a name alone. Operands with brackets nest no deeper
// than one level.
var operand = regexp.MustCompile(`((?:[\pL_][\pL\pN_]*|\([^()]*\)|\[[^\[\]]*\]|\.)*\.)?([\pL_][\pL\pN_]*)?$`)

// completions lists the names that fit at the caret: fields after a dot, else
// variables of the frame, packages and their variables.
func (c *conn) completions(_ context.Context, args dap.CompletionsArguments) (dap.CompletionsResponseBody, error) {
	body := dap.CompletionsResponseBody{Targets: []dap.CompletionItem{}} // null is not a list
	if len(args.Text) > maxExpression {
		return body, kindEvaluate.becauseOf(fmt.Sprintf("the text is longer than %d bytes", maxExpression))
	}
	before, ok := c.beforeCaret(args)
	if !ok {
		return body, kindBadArguments.becauseOf(fmt.Sprintf("line %d, column %d is not in the text", args.Line, args.Column))
	}
	if rest, found := strings.CutPrefix(before, "dlv "); found {
		body.Targets = c.completed(consoleNames(rest), lastWord(rest), before)
		return body, nil
	}
	m := operand.FindStringSubmatch(before)
	base, word := strings.TrimSuffix(m[1], "."), m[2]
	if m[1] != "" && base == "" {
		return body, nil
	}
	f, err := c.evaluationFrame(args.FrameId)
	if err != nil {
		return body, err
	}
	err = c.view(f, kindEvaluate, func(x *viewer) error {
		var found []dap.CompletionItem
		if base != "" {
			found = x.fields(base)
			found = append(found, c.packageVariables(x, base)...)
		} else {
			found = x.names()
		}
		body.Targets = c.completed(found, word, before)
		return nil
	})
	return body, err
}

// beforeCaret is the line of the text up to the caret. Columns count UTF-16
// code units.
func (c *conn) beforeCaret(args dap.CompletionsArguments) (string, bool) {
	line := args.Text
	if n := args.Line - c.client.lineBase; args.Line > 0 && n > 0 {
		lines := strings.Split(line, "\n")
		if n >= len(lines) {
			return "", false
		}
		line = lines[n]
	}
	units := utf16.Encode([]rune(line))
	at := args.Column - c.client.columnBase
	if at < 0 || at > len(units) {
		return "", false
	}
	return string(utf16.Decode(units[:at])), true
}

// completed picks what begins with word, which ends before the caret.
func (c *conn) completed(found []dap.CompletionItem, word, before string) []dap.CompletionItem {
	list := []dap.CompletionItem{}
	slices.SortFunc(found, func(a, b dap.CompletionItem) int { return cmp.Compare(a.Label, b.Label) })
	found = slices.CompactFunc(found, func(a, b dap.CompletionItem) bool { return a.Label == b.Label })
	length := len(utf16.Encode([]rune(word)))
	start := len(utf16.Encode([]rune(before))) - length + c.client.columnBase
	for _, item := range found {
		if len(item.Label) < len(word) || !strings.EqualFold(item.Label[:len(word)], word) {
			continue
		}
		if len(list) == maxCompletions {
			break
		}
		if length > 0 {
			item.Start, item.Length = start, length
		}
		list = append(list, item)
	}
	return list
}

// names are the variables of the frame and the packages of the program.
func (x *viewer) names() []dap.CompletionItem {
	var list []dap.CompletionItem
	vars, _ := x.scope.Locals(0, "") // what cannot be listed is not completed
	for _, v := range vars {
		if token.IsIdentifier(v.Name) {
			list = append(list, dap.CompletionItem{Label: v.Name, Type: "variable", Detail: v.TypeString()})
		}
	}
	for name := range x.scope.BinInfo.PackageMap {
		if token.IsIdentifier(name) {
			list = append(list, dap.CompletionItem{Label: name, Type: "module", Detail: "package"})
		}
	}
	return list
}

// fields are those of the struct that an expression denotes, or leads to
// through pointers and interfaces, with those of embedded structs.
func (x *viewer) fields(expr string) []dap.CompletionItem {
	if refuse(expr) != nil {
		return nil
	}
	v, err := x.scope.EvalExpression(expr, firstLook)
	if err != nil || v.Unreadable != nil {
		return nil
	}
	for range 4 { // **iface -> iface -> *T -> T
		if v.Kind != reflect.Interface && v.Kind != reflect.Pointer || len(v.Children) == 0 {
			break
		}
		v = &v.Children[0]
	}
	return structFields(v.RealType, 0)
}

func structFields(t godwarf.Type, depth int) []dap.CompletionItem {
	const deepest = 4 // an embedded type may embed a pointer to itself
	for range deepest {
		switch u := t.(type) {
		case *godwarf.TypedefType:
			t = u.Type
		case *godwarf.PtrType:
			t = u.Type
		}
	}
	st, ok := t.(*godwarf.StructType)
	if !ok || depth > deepest {
		return nil
	}
	var list []dap.CompletionItem
	for _, f := range st.Field {
		if token.IsIdentifier(f.Name) {
			list = append(list, dap.CompletionItem{Label: f.Name, Type: "field", Detail: f.Type.String()})
		}
		if f.Embedded {
			list = append(list, structFields(f.Type, depth+1)...)
		}
	}
	return list
}

// packageVariables are the variables of the packages of that name. Their names
// are read once: there may be tens of thousands.
func (c *conn) packageVariables(x *viewer, name string) []dap.CompletionItem {
	if len(x.scope.BinInfo.PackageMap[name]) == 0 && name != "main" {
		return nil
	}
	if c.globals == nil {
		c.globals = []string{}
		vars, err := x.scope.PackageVariables(proc.LoadConfig{})
		if err != nil {
			return nil
		}
		for _, v := range vars[:min(len(vars), maxGlobals)] {
			c.globals = append(c.globals, v.Name)
		}
	}
	paths := append([]string{name}, x.scope.BinInfo.PackageMap[name]...)
	var list []dap.CompletionItem
	for _, full := range c.globals {
		for _, pkg := range paths {
			rest, ok := strings.CutPrefix(full, pkg+".")
			if ok && token.IsIdentifier(rest) {
				list = append(list, dap.CompletionItem{Label: rest, Type: "variable", Detail: pkg})
			}
		}
	}
	return list
}

// lastWord is what comes after the last space.
func lastWord(s string) string { return s[strings.LastIndexByte(s, ' ')+1:] }
