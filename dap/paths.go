//go:build linux && amd64

package dap

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// substituteRule maps the client's directory From to the directory To that the
// binary was built in. An empty To is what -trimpath leaves: paths in the
// binary that are relative.
type substituteRule struct {
	From string `json:"from"`
	To   string `json:"to"`

	hint bool // not from the user: fits or is passed over in silence
}

// clientDirectories is what VS Code knows of the user's directories, Delve's
// api.GuessSubstitutePathIn.
type clientDirectories struct {
	ClientGOROOT            string
	ClientModuleDirectories map[string]string // by module path
}

// UnmarshalJSON also takes what says nothing, as true and null: the setting of
// VS Code's that the object is made of is a switch.
func (d *clientDirectories) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	type plain clientDirectories
	return json.Unmarshal(text, (*plain)(d))
}

// pathMap translates source paths both ways. Its zero value changes nothing.
type pathMap struct{ rules []substituteRule }

// maxRules bounds what a client can make every path lookup go through.
const maxRules = 1000

func newPathMap(rules []substituteRule) (pathMap, error) {
	if len(rules) > maxRules {
		return pathMap{}, fmt.Errorf("substitutePath has %d rules, at most %d are accepted", len(rules), maxRules)
	}
	for _, r := range rules {
		if r.From == "" && r.To == "" {
			return pathMap{}, errors.New("substitutePath has a rule with neither from nor to")
		}
	}
	return pathMap{rules: append([]substituteRule(nil), rules...)}, nil
}

// hint adds a rule that was guessed. Rules of the user come first. Of the guessed
// ones that for the deepest directory of the binary does: a module may lie in
// another one's folder.
func (m *pathMap) hint(from, to string) {
	if from == "" || to == "" || len(m.rules) >= 2*maxRules {
		return
	}
	at := len(m.rules)
	for at > 0 && m.rules[at-1].hint && len(m.rules[at-1].To) < len(to) {
		at--
	}
	m.rules = slices.Insert(m.rules, at, substituteRule{from, to, true})
}

// hinted lists the rules that were guessed.
func (m pathMap) hinted() []substituteRule {
	return slices.DeleteFunc(slices.Clone(m.rules), func(r substituteRule) bool { return !r.hint })
}

// toServer lists what a file of the client may be called in the binary: after
// every rule that applies, and as it is. byUser is what the first of the
// user's own rules made of it, or "".
func (m pathMap) toServer(p string) (candidates []string, byUser string) {
	for _, r := range m.rules {
		rest, ok := under(p, r.From)
		if !ok {
			continue
		}
		mapped := join(r.To, rest)
		if !r.hint && byUser == "" {
			byUser = mapped
		}
		candidates = append(candidates, mapped)
	}
	return append(candidates, slashed(p)), byUser
}

// toClient is the client's path of a file of the binary.
func (m pathMap) toClient(p string) string {
	for _, r := range m.rules {
		rest, ok := under(p, r.To)
		if !ok {
			continue
		}
		joined := join(r.From, rest)
		if strings.Contains(r.From, `\`) {
			joined = strings.ReplaceAll(joined, "/", `\`)
		}
		return joined
	}
	return p
}

// under tells whether p is dir or lies in it, and what is left of it without a
// leading separator. Both separators count, and Windows paths compare without
// case: editors send C: and c: for the same drive. An empty dir holds every
// relative path.
func under(p, dir string) (rest string, ok bool) {
	if dir == "" {
		return p, !isAbs(p)
	}
	windows := isWindows(dir)
	if windows {
		p, dir = slashed(p), slashed(dir)
	}
	trimmed := strings.TrimRight(dir, "/")
	if len(p) < len(trimmed) {
		return "", false
	}
	head := p[:len(trimmed)]
	if head != trimmed && !(windows && strings.EqualFold(head, trimmed)) {
		return "", false
	}
	rest = p[len(trimmed):]
	if rest == "" {
		return "", true
	}
	if rest[0] != '/' {
		return "", false
	}
	return strings.TrimLeft(rest, "/"), true
}

func join(dir, rest string) string {
	switch {
	case rest == "":
		return dir
	case dir == "":
		return rest
	}
	return strings.TrimRight(dir, `/\`) + "/" + rest
}

// slashed is p with forward slashes, if p is a Windows path; a backslash in
// any other path is part of a name.
func slashed(p string) string {
	if isWindows(p) || !isAbs(p) {
		return strings.ReplaceAll(p, `\`, "/")
	}
	return p
}

func isWindows(p string) bool {
	return strings.HasPrefix(p, `\\`) || len(p) >= 2 && p[1] == ':' && isLetter(p[0])
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

func isAbs(p string) bool { return strings.HasPrefix(p, "/") || isWindows(p) }

// baseName is the last element of a path of either system.
func baseName(p string) string { return path.Base(slashed(p)) }
