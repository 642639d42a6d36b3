package gate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net/http"
	"strings"
)

// A token is the second factor where many people share an address. The agent
// makes it and shows it to the person who attached; a rule that asks for it
// matches only requests that carry it. It proves that its sender knows somebody
// who may trace this process: the key is drawn anew for each session, and is in
// the memory of the agent and on the board of this process only, so that a
// token of another service or of yesterday is worth nothing.
//
//	rdbg1.EXPIRY.NONCE.MAC
//
// EXPIRY is CLOCK_MONOTONIC in ns, like the lease, big-endian in 8 bytes; NONCE
// has 16 bytes; MAC is HMAC-SHA256 (RFC 2104) over all that comes before its
// dot. Each is base64url without padding (RFC 4648 section 5). A token can be
// used any number of times until it expires: a person sends several requests.
const (
	// TokenHeader is the field that carries a token, in canonical form, and
	// TokenCookie the cookie, for browsers. A request of net/http loses both
	// before its handler runs, while an agent asks for tokens.
	TokenHeader = "Remotedbg-Token"
	TokenCookie = "remotedbg_token"

	tokenVersion = "rdbg1."
	nonceSize    = 16
)

// tokenKey is the HMAC key of one session.
type tokenKey [32]byte

var base64url = base64.RawURLEncoding.Strict()

// tokenSize is the length of every token.
var tokenSize = len(tokenVersion) + base64url.EncodedLen(8) + 1 + base64url.EncodedLen(nonceSize) + 1 + base64url.EncodedLen(sha256.Size)

// valid reports whether token was made with the key and has not expired at now,
// CLOCK_MONOTONIC in ns. A key of zeros, which nobody drew, makes none valid.
func (k *tokenKey) valid(token string, now int64) bool {
	if len(token) != tokenSize || !strings.HasPrefix(token, tokenVersion) || *k == (tokenKey{}) {
		return false
	}
	dot := strings.LastIndexByte(token, '.')
	if dot < len(tokenVersion) {
		return false
	}
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(token[:dot]))
	got, err := base64url.DecodeString(token[dot+1:])
	// Nothing of the token is looked at before it is known to be ours.
	if err != nil || !hmac.Equal(got, mac.Sum(nil)) {
		return false
	}
	text, _, _ := strings.Cut(token[len(tokenVersion):], ".")
	expiry, err := base64url.DecodeString(text)
	return err == nil && len(expiry) == 8 && now < int64(binary.BigEndian.Uint64(expiry))
}

// editable is a Header that the token can be taken out of; [http.Header] is.
type editable interface {
	Del(name string)
	Add(name, value string)
}

// takeToken takes the token out of h, so that no handler or log sees it, and
// returns it. Of several the first one counts, and the header before the cookie.
// A Header that is not editable keeps it.
func takeToken(h Header) string {
	if h == nil {
		return ""
	}
	var token string
	edit, _ := h.(editable)
	if values := h.Values(TokenHeader); len(values) > 0 {
		token = values[0]
		if edit != nil {
			edit.Del(TokenHeader)
		}
	}
	cookies := h.Values("Cookie")
	for _, line := range cookies {
		if strings.Contains(line, TokenCookie) {
			return takeCookie(cookies, edit, token)
		}
	}
	return token
}

// takeCookie is takeToken for a request with such a cookie (RFC 6265 section
// 4.2.1: pairs with "; " between them). All other cookies stay as they are.
func takeCookie(lines []string, edit editable, token string) string {
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		pairs := strings.Split(line, ";")
		others := make([]string, 0, len(pairs))
		for _, pair := range pairs {
			name, value, _ := strings.Cut(pair, "=")
			if trimOWS(name) != TokenCookie {
				others = append(others, pair)
				continue
			}
			if token == "" {
				token = strings.Trim(trimOWS(value), `"`)
			}
		}
		if len(others) == len(pairs) {
			kept = append(kept, line) // byte for byte
			continue
		}
		// Not strings.TrimSpace: other white space is a part of a cookie's name,
		// and without it "\u2003__Host-id" would become "__Host-id".
		if rest := trimOWS(strings.Join(others, ";")); rest != "" {
			kept = append(kept, rest)
		}
	}
	if edit != nil {
		edit.Del("Cookie")
		for _, line := range kept {
			edit.Add("Cookie", line)
		}
	}
	return token
}

// carriesToken reports whether takeToken would change h.
func carriesToken(h http.Header) bool {
	if len(h[TokenHeader]) > 0 {
		return true
	}
	for _, line := range h["Cookie"] {
		if strings.Contains(line, TokenCookie) {
			return true
		}
	}
	return false
}

// takeTokenHTTP is takeToken for a request of net/http. It leaves the map alone
// and gives r another one: what is outside of the gate may be reading it in another
// goroutine (an audit log, a mirror), and a write to a map that is being read
// ends the process.
func takeTokenHTTP(r *http.Request) string {
	if !carriesToken(r.Header) {
		return ""
	}
	h := maps.Clone(r.Header)
	token := takeToken(h)
	r.Header = h
	return token
}
