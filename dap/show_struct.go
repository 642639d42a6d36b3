//go:build linux && amd64

package dap

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/redact"
)

func isBytes(t godwarf.Type) bool {
	s, ok := t.(*godwarf.SliceType)
	return ok && s.ElemType != nil && s.ElemType.Size() == 1 && s.ElemType.Common().ReflectKind == reflect.Uint8
}

// showBytes shows a []byte as text if all of its beginning can be printed.
func showBytes(v val) (string, bool) {
	if !isBytes(v.real()) {
		return "", false
	}
	b, n, ok := v.bytes(maxText)
	if !ok || n == 0 {
		return "", false
	}
	s, printable := asText(b, n > int64(len(b)))
	if !printable {
		return "", false
	}
	text := fmt.Sprintf("%s len: %d, %s", shortType(v.typeName()), n, strconv.Quote(s))
	if more := n - int64(len(s)); more > 0 {
		text += fmt.Sprintf("... (%d more)", more)
	}
	return text, true
}

// asText is b as text, less the part of a character at the end where it was
// cut.
func asText(b []byte, cut bool) (string, bool) {
	for i := 0; cut && i < utf8.UTFMax && len(b) > 0; i++ {
		if r, size := utf8.DecodeLastRune(b); r != utf8.RuneError || size != 1 {
			break
		}
		b = b[:len(b)-1]
	}
	if !utf8.Valid(b) {
		return "", false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' {
			return "", false
		}
	}
	return string(b), len(b) > 0
}

func showRawMessage(v val) (string, bool) {
	b, n, ok := v.bytes(longString)
	if !ok || n == 0 {
		return "", false
	}
	s, printable := asText(b, n > int64(len(b)))
	if !printable {
		return "", false
	}
	s = strings.Join(strings.Fields(s), " ")
	if more := n - int64(len(b)); more > 0 {
		s += fmt.Sprintf("... (%d bytes)", n)
	}
	return s, true
}

// showUUID shows types of sixteen bytes that are called UUID.
func showUUID(v val, t *godwarf.ArrayType) (string, bool) {
	if t.Count != 16 || !strings.HasSuffix(v.typeName(), "UUID") {
		return "", false
	}
	b, _, ok := v.bytes(16)
	if !ok {
		return "", false
	}
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"), true
}

// protoInternals are the fields of a generated message that are not its own.
var protoInternals = map[string]bool{"state": true, "sizeCache": true, "unknownFields": true}

// isProto tells messages of google.golang.org/protobuf.
func isProto(t *godwarf.StructType) bool {
	if len(t.Field) == 0 || t.Field[0].Name != "state" {
		return false
	}
	return t.Field[0].Type.Common().Name == "google.golang.org/protobuf/internal/impl.MessageState"
}

// protoRows is a message without its internals.
func (x *viewer) protoRows(v val, t *godwarf.StructType, expr string) (rows []dap.Variable) {
	if expr != "" {
		expr += "."
	}
	for _, f := range t.Field {
		switch {
		case protoInternals[f.Name]:
		case v.x.g.Field(t.StructName, f.Name, f.Type):
			rows = append(rows, hiddenRow(f.Name, "", shortType(f.Type.String())))
		case expr == "":
			rows = append(rows, x.row(v.field(f.Name), f.Name, ""))
		default:
			rows = append(rows, x.row(v.field(f.Name), f.Name, expr+f.Name))
		}
	}
	return rows
}

// maxLineFields bounds the fields on one line.
const maxLineFields = 12

// fieldsLine is a value with the fields of a struct that fit on a line, in
// braces.
func fieldsLine(v val, without map[string]bool) string {
	st, ok := v.real().(*godwarf.StructType)
	if !ok {
		return brief(v, 0)
	}
	var parts []string
	hidden := v.x.hiddenFields(v, st)
	for _, f := range st.Field {
		if without[f.Name] || f.Name == "_" {
			continue
		}
		if len(parts) == maxLineFields {
			parts = append(parts, "...")
			break
		}
		if hidden(f) {
			parts = append(parts, f.Name+": "+redact.Mark)
			continue
		}
		if s := brief(v.field(f.Name), 0); s != "" {
			parts = append(parts, f.Name+": "+s)
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// brief is a value in a word or two; empty if there is none that says anything.
func brief(v val, depth int) string {
	if !v.ok() {
		return "?"
	}
	if v.isNil() {
		return "nil"
	}
	if isError(v.t) {
		return shortType(v.dynamic().typeName()) // the chain shows what it says
	}
	if s, ok := v.x.show(v, 1); ok {
		return s
	}
	switch t := v.real().(type) {
	case *godwarf.StringType:
		return strconv.Quote(part(v))
	case *godwarf.BoolType:
		n, _ := v.uint()
		return strconv.FormatBool(n != 0)
	case *godwarf.IntType:
		n, _ := v.int()
		return strconv.FormatInt(n, 10)
	case *godwarf.UintType, *godwarf.UcharType:
		n, _ := v.uint()
		return strconv.FormatUint(n, 10)
	case *godwarf.FloatType:
		n, _ := v.uint()
		if t.Size() == 4 {
			return strconv.FormatFloat(float64(math.Float32frombits(uint32(n))), 'g', -1, 32)
		}
		return strconv.FormatFloat(math.Float64frombits(n), 'g', -1, 64)
	case *godwarf.SliceType:
		_, n := v.elems(0)
		return fmt.Sprintf("[%d]", n)
	case *godwarf.PtrType:
		if depth < 2 {
			return brief(v.deref(), depth+1)
		}
	case *godwarf.InterfaceType:
		if held := v.dynamic(); held.ok() {
			return shortType(held.typeName())
		}
	}
	return "{...}"
}
