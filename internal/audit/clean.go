package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// cleaner makes values ones that may be written: without secrets, and bounded.
type cleaner struct {
	scrub func(string) string    // nil: nothing is replaced
	hide  func(name string) bool // nil: no name stands for a secret
	most  int                    // bytes of a text

	cut bool // something was left out
}

// hidden stands for a value whose name says that it is a secret.
const hidden = "‹redacted›"

// Bounds of lists and of what is in an object.
const (
	maxList  = 64
	maxDepth = 6
)

func (c *cleaner) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(c.text(v.String()))
	case slog.KindTime:
		v = timeValue(v.Time())
	case slog.KindDuration:
		v = slog.StringValue(v.Duration().String())
	case slog.KindAny:
		v = c.any(v.Any())
	case slog.KindGroup:
		var members []slog.Attr
		for _, m := range v.Group() {
			members = append(members, c.attr(m))
		}
		v = slog.GroupValue(members...)
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// any makes errors and the like texts, and shows all else as the JSON that it has.
func (c *cleaner) any(v any) slog.Value {
	switch v := v.(type) {
	case error:
		return slog.StringValue(c.text(v.Error()))
	case fmt.Stringer:
		return slog.StringValue(c.text(v.String()))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return slog.StringValue(c.text(fmt.Sprint(v)))
	}
	if c.most == shortText && len(raw) > shortText {
		c.cut = true
		return slog.StringValue(fmt.Sprintf("(%d bytes)", len(raw)))
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return slog.StringValue(c.text(string(raw)))
	}
	return slog.AnyValue(c.tree(tree, 0))
}

// tree cleans what was decoded from JSON. What says nothing (null, "", 0, false) is
// left out of objects: clients send a lot of it.
func (c *cleaner) tree(v any, depth int) any {
	switch v := v.(type) {
	case string:
		return c.text(v)
	case json.Number:
		if _, err := v.Float64(); err != nil || len(v) > 32 {
			return c.text(v.String()) // 1e999 is JSON, and more than most readers of it take
		}
		return v
	case []any:
		if depth == maxDepth {
			c.cut = true
			return "..."
		}
		list := make([]any, 0, min(len(v), maxList+1))
		for i, e := range v {
			if i == maxList {
				c.cut = true
				return append(list, fmt.Sprintf("and %d more", len(v)-i))
			}
			list = append(list, c.tree(e, depth+1))
		}
		return list
	case map[string]any:
		if depth == maxDepth {
			c.cut = true
			return "..."
		}
		return c.object(v, depth)
	}
	return v
}

func (c *cleaner) object(v map[string]any, depth int) any {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	secret := c.namesSecret(v)
	out := make(map[string]any)
	for i, name := range names {
		if i == maxList {
			c.cut = true
			out["..."] = fmt.Sprintf("and %d more", len(names)-i)
			break
		}
		value := v[name]
		switch value {
		case nil, "", false, json.Number("0"):
			continue
		}
		if text, isText := value.(string); isText && (c.hidden(name) || secret && strings.EqualFold(name, "value") && text != "") {
			out[c.text(name)] = hidden
			continue
		}
		out[c.text(name)] = c.tree(value, depth+1)
	}
	return out
}

// namesSecret says whether an object names something whose value is a secret: that
// which setVariable, setExpression and JSON-RPC's Set change, and to what.
func (c *cleaner) namesSecret(v map[string]any) bool {
	for key, value := range v {
		switch strings.ToLower(key) {
		case "name", "expression", "symbol":
			if name, ok := value.(string); ok && c.hidden(name) {
				return true
			}
		}
	}
	return false
}

func (c *cleaner) hidden(name string) bool { return c.hide != nil && c.hide(name) }

// text scrubs and cuts. Scrubbing comes first, since half of a secret is not
// recognised, and after a rough cut, since it takes time by the byte. What the rough
// cut may have halved is not shown.
func (c *cleaner) text(s string) string {
	const rough = 64 << 10
	full := len(s)
	s = s[:min(len(s), rough)]
	if c.scrub != nil {
		s = c.scrub(s)
	}
	if full <= rough && len(s) <= c.most {
		return strings.ToValidUTF8(s, "\ufffd")
	}
	c.cut = true
	if len(s) < c.most {
		return fmt.Sprintf("(%d bytes)", full)
	}
	return strings.ToValidUTF8(s[:c.most], "\ufffd") + fmt.Sprintf("... (%d bytes)", full)
}
