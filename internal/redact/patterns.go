package redact

import "bytes"

// patternSet says which patterns are on.
type patternSet uint16

const (
	patternJWT    patternSet = 1 << iota // three parts of base64url with dots between
	patternPEM                           // private keys
	patternCard                          // numbers of payment cards, with their check digit
	patternScheme                        // what comes behind Bearer and Basic
	patternKey                           // keys with a mark of their issuer
	patternURL                           // the password of scheme://user:password@host
	patternParam                         // name=value and "name": "value" where the name is a secret's
	patternHeader                        // lines of HTTP headers whose name is a secret's

	allPatterns = patternHeader<<1 - 1
)

var patternNames = map[string]patternSet{
	"jwt": patternJWT, "pem": patternPEM, "card": patternCard, "scheme": patternScheme,
	"key": patternKey, "url": patternURL, "param": patternParam, "header": patternHeader,
}

// maxRun bounds how far a pattern reaches, in bytes: a certificate chain's key
// file is shorter.
const maxRun = 16 << 10

// Find returns where text has what looks like a secret, sorted and apart. It
// looks at each byte a bounded number of times: patterns begin at characters
// that are rare, and none begins inside of what one has matched.
func (p *Policy) Find(text []byte) []Span {
	p = p.orDefault()
	if p.lifted {
		return nil
	}
	var spans []Span
	digits := 0 // up to here digits were looked at
	noEnd := 0  // up to here there is no end of a PEM block
	for i := 0; i < len(text); i++ {
		if i+1 < len(text) && !begins.has(text[i], text[i+1]) {
			continue // of nearly all bytes of memory no more is asked
		}
		var s Span
		var ok bool
		switch c := text[i]; {
		case c == 'e' && p.patterns&patternJWT != 0:
			s, ok = jwtAt(text, i)
		case c == '-' && p.patterns&patternPEM != 0:
			s, noEnd, ok = pemAt(text, i, noEnd)
		case '0' <= c && c <= '9':
			if i >= digits && p.patterns&patternCard != 0 {
				s, digits, ok = cardAt(text, i)
			}
		case c == ' ' && p.patterns&patternScheme != 0:
			s, ok = schemeAt(text, i)
		case c == '@' && p.patterns&patternURL != 0:
			s, ok = urlAt(text, i)
		case c == '=', c == ':':
			s, ok = p.valueAt(text, i)
		}
		if !ok && p.patterns&patternKey != 0 {
			s, ok = keyAt(text, i)
		}
		if ok && s.End > s.Start {
			spans = append(spans, s)
			i = max(i, s.End-1)
		}
	}
	return merge(spans)
}

// begins are the two bytes that any pattern is tried at.
var begins = func() (b pairs) {
	for _, c := range []byte("0123456789 @=:") {
		for next := range 256 {
			b.add(c, byte(next))
		}
	}
	b.add(jwtBegin[0], jwtBegin[1])
	b.add(pemBegin[0], pemBegin[1])
	for _, k := range issuerKeys {
		b.add(k.prefix[0], k.prefix[1])
	}
	return b
}()

// pairs is a set of two bytes.
type pairs [1 << 10]uint64

func (p *pairs) add(a, b byte) {
	at := uint16(a) | uint16(b)<<8
	p[at>>6] |= 1 << (at & 63)
}

func (p *pairs) has(a, b byte) bool {
	at := uint16(a) | uint16(b)<<8
	return p[at>>6]&(1<<(at&63)) != 0
}

// class is a set of bytes.
type class [256]bool

func classOf(chars string) (c class) {
	for i := range len(chars) {
		c[chars[i]] = true
	}
	return c
}

const alnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

var (
	base64url = classOf(alnum + "-_")
	opaque    = classOf(alnum + "-_.~+/=") // token68 of RFC 9110 section 11.2
	wordChars = classOf(alnum + "-_.")
	valueEnds = classOf("&;, \t\r\n\"'`<>(){}[]|\\\x00")
	userEnds  = classOf(" \t\r\n\"'`<>\x00/@")
)

// run is where the bytes of c that begin at i end.
func (c *class) run(text []byte, i int) int {
	end := min(len(text), i+maxRun)
	for i < end && c[text[i]] {
		i++
	}
	return i
}

var jwtBegin = []byte("eyJ")

// jwtAt finds eyJ... . ... . ... (RFC 7519: the first two parts are JSON
// objects, and {" is eyJ in base64).
func jwtAt(text []byte, i int) (Span, bool) {
	if !bytes.HasPrefix(text[i:], jwtBegin) || i > 0 && base64url[text[i-1]] {
		return Span{}, false
	}
	at := base64url.run(text, i)
	parts := 1
	for parts < 5 && at < len(text) && text[at] == '.' { // five: encrypted, RFC 7516
		next := base64url.run(text, at+1)
		if next == at+1 && parts > 1 {
			break
		}
		at = next
		parts++
	}
	return Span{i, at}, parts >= 3 && at-i >= 20
}

var pemBegin, pemPrivate, pemEnd = []byte("-----BEGIN "), []byte("PRIVATE KEY"), []byte("-----END ")

// pemAt finds a private key, up to its end or as far as it looks like one. Up to
// noEnd there is no end of a block: that is asked once for each byte.
func pemAt(text []byte, i, noEnd int) (s Span, next int, ok bool) {
	if !bytes.HasPrefix(text[i:], pemBegin) {
		return Span{}, noEnd, false
	}
	rest := text[i:min(len(text), i+maxRun)]
	head := rest[:min(len(rest), 64)]
	if !bytes.Contains(head, pemPrivate) {
		return Span{}, noEnd, false
	}
	from := max(0, min(noEnd-i-len(pemEnd), len(rest)))
	if end := bytes.Index(rest[from:], pemEnd); end >= 0 {
		end += from + len(pemEnd)
		if j := bytes.Index(rest[end:min(len(rest), end+64)], []byte("-----")); j >= 0 {
			end += j + 5
		}
		return Span{i, i + end}, noEnd, true
	}
	end := len(pemBegin)
	for end < len(rest) && (opaque[rest[end]] || rest[end] == '\n' || rest[end] == '\r' || rest[end] == ' ' || rest[end] == '\\') {
		end++
	}
	return Span{i, i + end}, i + len(rest), true
}

var schemes = [][]byte{[]byte("bearer"), []byte("basic"), []byte("token"), []byte("apikey"), []byte("digest")}

// schemeAt finds what comes behind "Bearer " and its like, at the space.
func schemeAt(text []byte, i int) (Span, bool) {
	for _, scheme := range schemes {
		if i < len(scheme) || text[i-1]|0x20 != scheme[len(scheme)-1] || !bytes.EqualFold(text[i-len(scheme):i], scheme) {
			continue
		}
		if at := i - len(scheme); at > 0 && wordChars[text[at-1]] {
			continue
		}
		end := opaque.run(text, i+1)
		value := text[i+1 : end]
		// "Basic training" is text: a credential is long and not all letters.
		if len(value) >= MinSecret && (len(value) >= 20 || mixed(value)) {
			return Span{i + 1, end}, true
		}
	}
	return Span{}, false
}

// mixed tells what has digits or upper case letters behind the first.
func mixed(b []byte) bool {
	for i, c := range b {
		if c >= '0' && c <= '9' || i > 0 && c >= 'A' && c <= 'Z' || c == '=' || c == '_' {
			return true
		}
	}
	return false
}

// issuerKeys are keys that say what they are, and how many characters follow.
var issuerKeys = []struct {
	prefix string
	least  int
}{
	{"AKIA", 16}, {"ASIA", 16}, // Amazon Web Services
	{"ghp_", 30}, {"gho_", 30}, {"ghs_", 30}, {"ghu_", 30}, {"github_pat_", 40}, {"glpat-", 16},
	{"xoxb-", 16}, {"xoxp-", 16}, {"xoxa-", 16}, {"xoxs-", 16}, // Slack
	{"sk_live_", 10}, {"sk_test_", 10}, {"rk_live_", 10}, {"whsec_", 16}, // Stripe
	{"AIza", 30}, {"ya29.", 20}, // Google
	{"sk-", 32}, {"npm_", 30}, {"SG.", 40},
}

func keyAt(text []byte, i int) (Span, bool) {
	switch text[i] {
	case 'A', 'g', 'x', 's', 'r', 'w', 'y', 'n', 'S':
	default:
		return Span{}, false
	}
	for _, k := range issuerKeys {
		if text[i] != k.prefix[0] || !bytes.HasPrefix(text[i:], []byte(k.prefix)) {
			continue
		}
		if i > 0 && base64url[text[i-1]] {
			return Span{}, false
		}
		end := wordChars.run(text, i+len(k.prefix))
		if end-i-len(k.prefix) >= k.least && mixed(text[i+len(k.prefix):end]) {
			return Span{i, end}, true
		}
	}
	return Span{}, false
}

// maxUserinfo bounds user and password of a URL in bytes.
const maxUserinfo = 512

// urlAt finds the password of scheme://user:password@host, at the @.
func urlAt(text []byte, i int) (Span, bool) {
	colon := -1
	for j := i - 1; j >= 0 && i-j < maxUserinfo; j-- {
		if text[j] == ':' {
			colon = j // the first one behind the slashes is it
		}
		if !userEnds[text[j]] {
			continue
		}
		slashes := text[j] == '/' && j >= 2 && text[j-1] == '/' && text[j-2] == ':'
		return Span{colon + 1, i}, slashes && colon > j && i > colon+1
	}
	return Span{}, false
}

// valueAt finds the value of name=value, "name": "value" and of a header's line,
// at the sign between them.
func (p *Policy) valueAt(text []byte, i int) (Span, bool) {
	end := i
	quote := byte(0)
	if end > 0 && (text[end-1] == '"' || text[end-1] == '\'') {
		quote = text[end-1]
		end--
		if end > 0 && text[end-1] == '\\' { // JSON in a string
			end--
		}
	}
	start := end
	for start > 0 && end-start < maxName && wordChars[text[start-1]] {
		start--
	}
	if start == end || !p.Key(string(text[start:end])) {
		return Span{}, false
	}
	if text[i] == ':' && quote == 0 {
		if p.patterns&patternHeader == 0 {
			return Span{}, false
		}
		return headerAt(text, start, i)
	}
	if p.patterns&patternParam == 0 {
		return Span{}, false
	}
	return paramAt(text, i, quote != 0)
}

// headerAt finds the value of a line of a header: it begins where a line does and
// ends where one does, so that the prose of an error ("token: not found") is none.
func headerAt(text []byte, start, colon int) (Span, bool) {
	if start > 0 && text[start-1] != '\n' {
		return Span{}, false
	}
	from := colon + 1
	for from < len(text) && from-colon < 64 && (text[from] == ' ' || text[from] == '\t') {
		from++
	}
	end := from
	for limit := min(len(text), from+maxRun); end < limit && text[end] != '\r' && text[end] != '\n'; {
		end++
	}
	// RFC 9112 section 5: field lines end with CRLF.
	ended := end+1 < len(text) && text[end] == '\r' && text[end+1] == '\n'
	if !ended && !(end == len(text) && start > 0) {
		return Span{}, false
	}
	return Span{from, end}, end > from
}

func paramAt(text []byte, sign int, quotedName bool) (Span, bool) {
	from := sign + 1
	for quotedName && from < len(text) && from-sign < 8 && (text[from] == ' ' || text[from] == '\n' || text[from] == '\t') {
		from++
	}
	if from < len(text) && text[from] == '\\' && from+1 < len(text) && text[from+1] == '"' {
		end := bytes.IndexByte(text[from+2:min(len(text), from+maxRun)], '\\')
		if end < 0 {
			end = min(len(text), from+maxRun) - from - 2
		}
		return Span{from + 2, from + 2 + end}, end > 0
	}
	if from < len(text) && (text[from] == '"' || text[from] == '\'') {
		return quotedAt(text, from)
	}
	if from < len(text) && text[from] == '=' {
		return Span{}, false // a comparison
	}
	end := from
	for limit := min(len(text), from+maxRun); end < limit && !valueEnds[text[end]]; {
		end++
	}
	value := text[from:end]
	if len(value) == 0 || value[0] == '%' && len(value) <= 3 && !hexDigits(value[1:]) {
		return Span{}, false // a verb of a format
	}
	return Span{from, end}, true
}

// quotedAt is the inside of the string that begins at from.
func quotedAt(text []byte, from int) (Span, bool) {
	end := from + 1
	for limit := min(len(text), from+maxRun); end < limit && text[end] != text[from]; end++ {
		if text[end] == '\\' {
			end++
		}
	}
	end = min(end, len(text))
	return Span{from + 1, end}, end > from+1
}

func hexDigits(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return len(b) == 2
}
