package taint

import (
	"reflect"
	"strings"

	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/redact"
)

// Blank makes an api.Variable show nothing of its value: no length, no children
// and no address. Its kind is one that every client prints as text.
func Blank(v *api.Variable) {
	*v = api.Variable{
		Name: v.Name, Type: v.Type, RealType: v.RealType, Flags: v.Flags &^ api.VariableConstant,
		DeclLine: v.DeclLine, LocationExpr: v.LocationExpr,
		Kind: reflect.String, Value: redact.Mark, Len: int64(len(redact.Mark)),
	}
}

// API takes the secrets out of a variable and all that was loaded of it. named
// says whether its name is that of a variable; that of an evaluated expression
// was looked at before.
func (g *Guard) API(v *api.Variable, named bool) {
	if g == nil || v == nil {
		return
	}
	if named && g.Name(v.Name) || g.TypeName(v.RealType) || g.TypeName(v.Type) {
		Blank(v)
		return
	}
	if v.Value != "" && v.Value != redact.Mark {
		if s := g.Text(v.Value); s != v.Value {
			v.Len += int64(len(s) - len(v.Value))
			v.Value = s
		}
	}
	v.Unreadable = g.Text(v.Unreadable)
	switch v.Kind {
	case reflect.Struct:
		g.apiStruct(v)
	case reflect.Map:
		for i := 0; i+1 < len(v.Children); i += 2 {
			key, val := &v.Children[i], &v.Children[i+1]
			secret := key.Kind == reflect.String && g.Key(key.Value)
			g.API(key, false)
			if secret {
				Blank(val)
			} else {
				g.API(val, false)
			}
		}
	default:
		for i := range v.Children {
			// The children of closures and channels have names of their own.
			g.API(&v.Children[i], v.Kind == reflect.Func)
		}
	}
}

func (g *Guard) apiStruct(v *api.Variable) {
	keyed, hasValue := false, false
	for i := range v.Children {
		ch := &v.Children[i]
		hasValue = hasValue || isValueName(ch.Name)
		keyed = keyed || isKeyName(ch.Name) && ch.Kind == reflect.String && g.Key(ch.Value)
	}
	for i := range v.Children {
		ch := &v.Children[i]
		switch {
		case g.Tagged(v.Type, ch.Name), g.Tagged(strings.TrimPrefix(v.RealType, "*"), ch.Name), keyed && hasValue && isValueName(ch.Name):
			Blank(ch)
		default:
			g.API(ch, true)
		}
	}
}

// Register returns the text of a register, which may hold a part of a secret.
func (g *Guard) Register(value string, data []byte) string {
	if g == nil || g.policy.Lifted() || !mayBeText(data) {
		return value
	}
	return redact.Mark
}

// mayBeText tells bytes of which some behind each other look like text.
func mayBeText(data []byte) bool {
	run := 0
	for _, c := range data {
		if run++; c < ' ' || c > '~' {
			run = 0
		}
		if run == 4 {
			return true
		}
	}
	return false
}
