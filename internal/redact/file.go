package redact

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	maxFileLines = 10_000
	maxFileLine  = 4 << 10
)

// Parse reads a file of rules that add to the default ones and take from them.
// Each line is one of
//
//	name customer number     # names that fit are secrets
//	show token count         # exactly this name is none
//	remove token             # a default rule that shall not hold
//	pattern card off         # a pattern on values, on or off
//
// A name is written in any of its spellings: "customer number", customerNumber,
// X-Customer-Number. Empty lines and what follows a # are left out. The error
// joins every mistake, each with its line: file:3: what is wrong.
func Parse(r io.Reader, file string) (*Policy, error) {
	p := &Policy{patterns: allPatterns, exact: make(map[string]bool)}
	p.rules = append(p.rules, Default().rules...)
	var errs []error
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxFileLine)
	n := 0
	for lines.Scan() {
		if n++; n > maxFileLines {
			errs = append(errs, fmt.Errorf("%s:%d: more than %d lines", file, n, maxFileLines))
			break
		}
		if err := p.line(lines.Text()); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, n, err))
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		errs = append(errs, fmt.Errorf("%s:%d: the line is longer than %d bytes", file, n+1, maxFileLine))
	case err != nil:
		errs = append(errs, fmt.Errorf("%s: %w", file, err))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p.ready(), nil
}

// line carries out one line.
func (p *Policy) line(text string) error {
	text, _, _ = strings.Cut(text, "#")
	verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "":
		return nil
	case "name", "show", "remove":
		return p.nameLine(verb, rest)
	case "pattern":
		return p.patternLine(rest)
	}
	return fmt.Errorf("%q is no rule: write name, show, remove or pattern", clipName(verb))
}

func (p *Policy) nameLine(verb, rest string) error {
	plain := plainName(rest)
	switch {
	case rest == "":
		return fmt.Errorf("%s: the name is missing", verb)
	case len(rest) > maxName:
		return fmt.Errorf("%s: the name is longer than %d bytes", verb, maxName)
	case plain == "":
		return fmt.Errorf("%s %q: the name has no letter", verb, rest)
	}
	switch verb {
	case "name":
		if len(plain) < 2 {
			return fmt.Errorf("name %q: a rule of one letter would fit too much", rest)
		}
		p.rules = append(p.rules, nameRule(plain))
		delete(p.exact, plain)
	case "show":
		p.exact[plain] = true
	case "remove":
		for i, r := range p.rules {
			if string(r) == plain {
				p.rules = append(p.rules[:i:i], p.rules[i+1:]...)
				return nil
			}
		}
		return fmt.Errorf("remove %q: there is no such rule: the rules are %s", rest, strings.Join(defaultNames, ", "))
	}
	return nil
}

func (p *Policy) patternLine(rest string) error {
	name, on, _ := strings.Cut(rest, " ")
	bit, ok := patternNames[name]
	if !ok {
		return fmt.Errorf("pattern %q: there is no such pattern: write jwt, pem, card, scheme, key, url, param or header", clipName(name))
	}
	switch strings.TrimSpace(on) {
	case "on":
		p.patterns |= bit
	case "off":
		p.patterns &^= bit
	default:
		return fmt.Errorf("pattern %s: write on or off behind it", name)
	}
	return nil
}
