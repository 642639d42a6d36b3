package redact

import (
	"slices"
	"strings"
	"sync"
)

// Policy is a set of rules. It is immutable; a nil Policy is the default one.
type Policy struct {
	rules    []nameRule
	exact    map[string]bool // plain names that are no secrets though a rule fits
	patterns patternSet
	lifted   bool

	known *nameCaches
}

// nameCaches remember what was judged: the same few thousand are asked for again
// and again, at each stop.
type nameCaches struct{ names, keys, types nameCache }

type nameCache struct {
	mu    sync.RWMutex
	known map[string]bool
}

// maxKnown bounds what is remembered: map keys are names too, and there is no end
// of them.
const maxKnown = 8192

// get is what judge says of a name. One that is part of a longer text is copied.
func (c *nameCache) get(name string, judge func(string) bool) bool {
	c.mu.RLock()
	secret, ok := c.known[name]
	c.mu.RUnlock()
	if ok {
		return secret
	}
	secret = judge(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxKnown {
		c.known = make(map[string]bool)
	}
	c.known[strings.Clone(name)] = secret
	return secret
}

var standard = sync.OnceValue(func() *Policy {
	p := &Policy{patterns: allPatterns, exact: map[string]bool{}}
	for _, n := range defaultNames {
		p.rules = append(p.rules, nameRule(plainName(n)))
	}
	return p.ready()
})

// Default is the policy that holds where nobody has said anything.
func Default() *Policy { return standard() }

func (p *Policy) ready() *Policy {
	p.rules = sortedRules(p.rules)
	p.known = new(nameCaches)
	return p
}

// orDefault makes the nil Policy one that can be looked into.
func (p *Policy) orDefault() *Policy {
	if p == nil {
		return Default()
	}
	return p
}

// Lift returns p without its rules: of all of redaction only fields with the
// struct tag are left, which nothing lifts.
func (p *Policy) Lift() *Policy {
	lifted := *p.orDefault()
	lifted.lifted = true
	return &lifted
}

// Lifted says whether the rules are lifted. It is the caller's to ask: Name and
// Find answer as if they were not.
func (p *Policy) Lifted() bool { return p.orDefault().lifted }

// Name tells whether a name marks a secret: that of a variable, a field, a
// header, a map key or a type. Of a qualified name the last part counts. A lifted
// Policy knows none.
func (p *Policy) Name(name string) bool {
	p = p.orDefault()
	if p.lifted || name == "" || len(name) > 4*maxName {
		return false
	}
	return p.known.names.get(name, func(name string) bool { return p.judge(ownName(name)) })
}

func (p *Policy) judge(name string) bool {
	ws := words(name)
	if len(ws) == 0 || p.exact[strings.Join(ws, "")] {
		return false
	}
	return slices.ContainsFunc(p.rules, func(r nameRule) bool { return r.fits(ws) })
}

// Key is Name for a key of data: a header, a map key, a parameter. It has no
// package in front, so all of it counts.
func (p *Policy) Key(key string) bool {
	p = p.orDefault()
	if p.lifted || key == "" || len(key) > maxName {
		return false
	}
	return p.known.keys.get(key, p.judge)
}

// TypeName tells whether the name of a type marks its values as secrets. Its last
// words count alone: an AccessToken is one, a TokenService is not.
func (p *Policy) TypeName(name string) bool {
	p = p.orDefault()
	if p.lifted || name == "" {
		return false
	}
	if len(name) > 4*maxName {
		return p.judgeType(name)
	}
	return p.known.types.get(name, p.judgeType)
}

func (p *Policy) judgeType(name string) bool {
	ws := words(ownName(name))
	if len(ws) == 0 || p.exact[strings.Join(ws, "")] {
		return false
	}
	for i := range ws {
		rest := ws[i:]
		joined := strings.Join(rest, "")
		if slices.ContainsFunc(p.rules, func(r nameRule) bool { return r.ends(rest, joined) }) {
			return true
		}
	}
	return false
}

// Text returns s with what the patterns find replaced by [Mark].
func (p *Policy) Text(s string) string {
	p = p.orDefault()
	if p.lifted {
		return s
	}
	return replace(s, p.Find([]byte(s)))
}

// replace puts Mark in the place of the spans of s, which are sorted.
func replace(s string, spans []Span) string {
	if len(spans) == 0 {
		return s
	}
	var b strings.Builder
	done := 0
	for _, sp := range spans {
		b.WriteString(s[done:sp.Start])
		b.WriteString(Mark)
		done = sp.End
	}
	b.WriteString(s[done:])
	return b.String()
}

// Span is the bytes from Start up to End.
type Span struct{ Start, End int }

// merge sorts spans and joins those that touch.
func merge(spans []Span) []Span {
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, func(a, b Span) int { return a.Start - b.Start })
	out := spans[:1]
	for _, s := range spans[1:] {
		last := &out[len(out)-1]
		if s.Start <= last.End {
			last.End = max(last.End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}
