//go:build linux && amd64

package dap

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A setting is one of Delve's that "dlv config" shows and changes. VS Code's
// Go extension has a button that asks for hideSystemGoroutines so.
type setting struct {
	name  string
	value func(c *conn) string
	set   func(c *conn, value string) error // nil: it cannot be changed
	why   string                            // then: what replaces it
}

var settings = []setting{
	{"stackTraceDepth", func(c *conn) string { return strconv.Itoa(c.stackDepth()) }, (*conn).setStackDepth, ""},
	{"substitutePath", (*conn).listRules, (*conn).setRules, ""},
	{"showGlobalVariables", fixed("false"), nil, "type package.Name to see a package variable: reading all of them takes long"},
	{"showRegisters", fixed("false"), nil, "the registers are those that the request is thawed with, and cannot be shown yet"},
	{"hideSystemGoroutines", fixed("true"), nil, "a thread is a request in flight here: no other goroutine is listed"},
	{"goroutineFilters", fixed(""), nil, "a thread is a request in flight here: choose the requests with the agent's --allow"},
	{"showPprofLabels", fixed("[]"), nil, "a request is named by its method, path and client address"},
}

func fixed(value string) func(*conn) string { return func(*conn) string { return value } }

func (c *conn) consoleConfig(_ int, args string) (string, error) {
	name, value, hasValue := strings.Cut(args, " ")
	value = strings.TrimSpace(value)
	if name == "" || name == "-list" {
		if value != "" {
			s, err := findSetting(value)
			if err != nil {
				return "", err
			}
			return s.line(c), nil
		}
		var b strings.Builder
		for i := range settings {
			b.WriteString(settings[i].line(c))
		}
		return b.String(), nil
	}
	s, err := findSetting(name)
	switch {
	case err != nil:
		return "", err
	case s.set == nil && value == s.value(c):
	case s.set == nil:
		return "", kindDlv.becauseOf(fmt.Sprintf("%s is always %q: %s", name, s.value(c), s.why))
	case hasValue:
		if err := s.set(c, value); err != nil {
			return "", err
		}
		c.afterReply(func() { c.invalidate("stacks") })
	}
	return s.line(c), nil
}

func findSetting(name string) (*setting, error) {
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return nil, kindDlv.becauseOf(fmt.Sprintf("there is no setting %q: dlv config -list shows them all", clip(name, maxKey)))
	}
	return &settings[i], nil
}

// line is the setting as Delve prints it.
func (s *setting) line(c *conn) string { return s.name + "\t" + s.value(c) + "\n" }

// stackDepth is how many frames a client gets that asks for all.
func (c *conn) stackDepth() int {
	if c.maxFrames == 0 {
		return deepestStack
	}
	return c.maxFrames
}

func (c *conn) setStackDepth(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > deepestStack {
		return kindDlv.becauseOf(fmt.Sprintf("stackTraceDepth %q: 1 to %d frames can be shown", clip(value, maxKey), deepestStack))
	}
	c.maxFrames = n
	return nil
}

// listRules shows the user's rules, and those that were guessed.
func (c *conn) listRules() string {
	parts := []string{}
	for _, r := range c.paths.rules {
		part := fmt.Sprintf("%q -> %q", r.From, r.To)
		if r.hint {
			part += " (guessed)"
		}
		parts = append(parts, part)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// setRules adds or changes a rule (from, to), removes one (from) or all of the
// user's (-clear). It is for the files that are opened and the breakpoints that
// are set from now on.
func (c *conn) setRules(value string) error {
	words, err := quotedWords(value)
	if err != nil {
		return err
	}
	var mine, guessed []substituteRule
	for _, r := range c.paths.rules {
		if r.hint {
			guessed = append(guessed, r)
		} else {
			mine = append(mine, r)
		}
	}
	at := -1
	if len(words) > 0 {
		at = slices.IndexFunc(mine, func(r substituteRule) bool { return r.From == words[0] })
	}
	switch {
	case len(words) == 1 && words[0] == "-clear":
		mine = nil
	case len(words) == 1 && at >= 0:
		mine = slices.Delete(mine, at, at+1)
	case len(words) == 1:
		return kindDlv.becauseOf(fmt.Sprintf("no rule maps %q", clip(words[0], maxKey)))
	case len(words) == 2 && at >= 0:
		mine[at].To = words[1]
	case len(words) == 2:
		mine = append(mine, substituteRule{From: words[0], To: words[1]})
	default:
		return kindDlv.becauseOf("write dlv config substitutePath <from> <to>, <from> or -clear; quote what has spaces")
	}
	paths, err := newPathMap(mine)
	if err != nil {
		return kindDlv.because(err)
	}
	paths.rules = append(paths.rules, guessed...)
	c.paths = paths
	return nil
}

// quotedWords splits at spaces that are not in double quotes.
func quotedWords(s string) ([]string, error) {
	var words []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] != '"' {
			word, rest, _ := strings.Cut(s, " ")
			words, s = append(words, word), rest
			continue
		}
		end := strings.IndexByte(s[1:], '"')
		if end < 0 {
			return nil, kindDlv.becauseOf("a quote is not closed")
		}
		words, s = append(words, s[1:1+end]), s[end+2:]
	}
	return words, nil
}
