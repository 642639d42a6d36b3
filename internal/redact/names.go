package redact

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds a name that is looked at, in bytes: none that a person wrote is
// longer, and a type's name with its arguments is cut to its own part first.
const maxName = 256

// defaultNames mark a secret unless a file says otherwise. Each is written as
// its words; see nameRule.
var defaultNames = []string{
	"password", "passwd", "passphrase", "passcode", "pwd",
	"secret", "credential", "token", "bearer", "jwt",
	"authorization", "auth header", "basic auth", "cookie",
	"api key", "access key", "secret key", "private key", "signing key", "encryption key", "master key",
	"session id", "session key", "csrf", "xsrf", "otp", "totp",
	"ssn", "social security", "card number", "credit card", "cvv", "cvc", "iban",
}

// A nameRule is a name without its case and its separators: "apikey" is apiKey,
// API_KEY and X-Api-Key.
//
// It fits a name if some words of the name, one behind the other, make up the
// rule, or its plural. Because many names have no mark between their words, it
// fits as well what ends in a rule of five letters or more (authtoken), and what
// contains one of eight or more (passwordhash). So token does not fit tokenizer.
type nameRule string

const (
	suffixLen  = 5
	containLen = 8
)

// plainName drops case and separators.
func plainName(s string) string { return strings.Join(words(s), "") }

// words splits a name at separators, and where its case says that a word begins:
// "dbAPIKey" is db, api, key. Digits are their own words' ends: "token2" is token.
func words(name string) []string {
	var list []string
	start, runes := -1, []rune(clipName(name))
	end := func(i int) {
		if start >= 0 && i > start {
			list = append(list, strings.ToLower(string(runes[start:i])))
		}
		start = -1
	}
	for i, r := range runes {
		if !unicode.IsLetter(r) {
			end(i)
			continue
		}
		if start >= 0 && unicode.IsUpper(r) {
			before := unicode.IsLower(runes[i-1])                                // fooBar
			last := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && i > start // APIKey: at the K
			if last && i+2 == len(runes) && runes[i+1] == 's' {
				last = false // URLs, APIs: a plural
			}
			if before || last {
				end(i)
			}
		}
		if start < 0 {
			start = i
		}
	}
	end(len(runes))
	return list
}

func clipName(s string) string {
	if len(s) <= maxName {
		return s
	}
	cut := maxName
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// fits tells whether a rule fits the words of a name.
func (r nameRule) fits(ws []string) bool {
	rule := string(r)
	for i := range ws {
		if len(rule) >= suffixLen && endsIn(ws[i], rule) {
			return true
		}
		if len(rule) >= containLen && strings.Contains(ws[i], rule) {
			return true
		}
		rest := rule
		for _, w := range ws[i:] {
			if isPlural(w, rest) {
				return true
			}
			var ok bool
			if rest, ok = strings.CutPrefix(rest, w); !ok || rest == "" {
				break
			}
		}
	}
	return false
}

// endsIn tells whether a word ends in a rule or its plural. Here and below nothing
// is put together to be compared: it is asked for each word and each rule.
func endsIn(w, rule string) bool {
	return strings.HasSuffix(w, rule) || strings.HasSuffix(strings.TrimSuffix(w, "s"), rule)
}

// isPlural tells whether w is the word one or a plural of it.
func isPlural(w, one string) bool {
	s, ok := strings.CutPrefix(w, one)
	return ok && (s == "" || s == "s" || s == "es")
}

// ends tells whether the words are the rule, all of them; joined is them in one.
func (r nameRule) ends(ws []string, joined string) bool {
	s, ok := strings.CutPrefix(joined, string(r))
	return ok && (s == "" || s == "s") || len(ws) == 1 && len(r) >= suffixLen && endsIn(joined, string(r))
}

// ownName is the part of a qualified name that its author chose last: of
// "github.com/x/token.(*Service).Load" it is "Load", of "main.apiKey" "apiKey".
// Pointers, lists and type arguments are cut off.
func ownName(name string) string {
	for {
		trimmed := strings.TrimLeft(name, "*&()")
		if strings.HasPrefix(trimmed, "[") {
			if i := strings.IndexByte(trimmed, ']'); i >= 0 {
				trimmed = trimmed[i+1:]
			}
		}
		if trimmed == name {
			break
		}
		name = trimmed
	}
	if i := strings.IndexByte(name, '['); i > 0 {
		name = name[:i]
	}
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		name = name[i+1:]
	}
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	return strings.Trim(name, "*&()")
}

// compareRules orders rules for a listing.
func sortedRules(rules []nameRule) []nameRule {
	rules = slices.Clone(rules)
	slices.Sort(rules)
	return slices.Compact(rules)
}
