package gate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// makeToken is a token as an agent makes it.
func makeToken(key tokenKey, expiry int64) string {
	text := tokenVersion + base64url.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(expiry))) +
		"." + base64url.EncodeToString([]byte("0123456789abcdef"))
	return sign(key, text)
}

func sign(key tokenKey, text string) string {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(text))
	return text + "." + base64url.EncodeToString(mac.Sum(nil))
}

func TestTokenValid(t *testing.T) {
	const now = 1_000_000
	key, other := tokenKey{1, 2, 3}, tokenKey{1, 2, 4}
	good := makeToken(key, now+1)
	last := strings.LastIndexByte(good, '.')
	// The last character of the MAC holds two bits that mean nothing; another
	// spelling of them must not be another token.
	sloppy := good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])|1])
	for _, c := range []struct {
		name, token string
		key         tokenKey
		want        bool
	}{
		{"good", good, key, true},
		{"expired this moment", makeToken(key, now), key, false},
		{"of another session", makeToken(other, now+1), key, false},
		{"key of zeros", makeToken(tokenKey{}, now+1), tokenKey{}, false},
		{"expiry changed", tokenVersion + base64url.EncodeToString(binary.BigEndian.AppendUint64(nil, now*2)) + good[len(tokenVersion)+11:], key, false},
		{"expiry beyond all time, negative", makeToken(key, -1), key, false},
		{"MAC cut", good[:len(good)-1], key, false},
		{"MAC of nothing", good[:last+1], key, false},
		{"one more byte", good + "A", key, false},
		{"space behind it", good + " ", key, false},
		{"other version, signed", sign(key, "rdbg2."+good[len(tokenVersion):last]), key, false},
		{"sloppy base64", sloppy, key, sloppy == good},
		{"empty", "", key, false},
		{"dots", strings.Repeat(".", tokenSize), key, false},
		{"same length, no dot", strings.Repeat("A", tokenSize), key, false},
		{"prefix and no dot", tokenVersion + strings.Repeat("A", tokenSize-len(tokenVersion)), key, false},
		{"signed, but no expiry in it", sign(key, tokenVersion+strings.Repeat("A", last-len(tokenVersion))), key, false},
	} {
		if got := c.key.valid(c.token, now); got != c.want {
			t.Errorf("%s: valid(%q) = %v, want %v", c.name, c.token, got, c.want)
		}
	}
}

// FuzzTokenValid: nobody makes a valid token without the key.
func FuzzTokenValid(f *testing.F) {
	key := tokenKey{7}
	good := makeToken(key, 100)
	f.Add(good)
	f.Add(makeToken(tokenKey{8}, 100))
	f.Add("rdbg1..")
	f.Fuzz(func(t *testing.T, token string) {
		if key.valid(token, 50) && token != good {
			t.Errorf("%q is valid", token)
		}
	})
}

func TestTakeToken(t *testing.T) {
	for _, c := range []struct {
		name  string
		h     http.Header
		token string
		left  http.Header
	}{
		{"none", http.Header{"Cookie": {"a=1; b=2"}, "X": {"y"}}, "", http.Header{"Cookie": {"a=1; b=2"}, "X": {"y"}}},
		{"header", http.Header{TokenHeader: {"T"}, "X": {"y"}}, "T", http.Header{"X": {"y"}}},
		{"first of two headers", http.Header{TokenHeader: {"T", "U"}}, "T", http.Header{}},
		{"cookie in the middle", http.Header{"Cookie": {"a=1; remotedbg_token=T; b=2"}}, "T", http.Header{"Cookie": {"a=1; b=2"}}},
		{"only cookie", http.Header{"Cookie": {"remotedbg_token=T"}}, "T", http.Header{}},
		{"quoted", http.Header{"Cookie": {`a="x y"; remotedbg_token="T"`}}, "T", http.Header{"Cookie": {`a="x y"`}}},
		{"second line", http.Header{"Cookie": {"a=1", "remotedbg_token=T;b=2"}}, "T", http.Header{"Cookie": {"a=1", "b=2"}}},
		{"twice", http.Header{"Cookie": {"remotedbg_token=T; remotedbg_token=U"}}, "T", http.Header{}},
		{"header before cookie", http.Header{TokenHeader: {"T"}, "Cookie": {"remotedbg_token=U; a=1"}}, "T", http.Header{"Cookie": {"a=1"}}},
		{"white space around the name", http.Header{"Cookie": {"a=1; remotedbg_token\t=T ; b=2"}}, "T", http.Header{"Cookie": {"a=1; b=2"}}},
		{"other white space of other cookies", http.Header{"Cookie": {"\u2003__Host-id=1\u00a0; remotedbg_token=T"}}, "T", http.Header{"Cookie": {"\u2003__Host-id=1\u00a0"}}},
		{"a line without it", http.Header{"Cookie": {" a=1 ; ", "remotedbg_token=T", ""}}, "T", http.Header{"Cookie": {" a=1 ; ", ""}}},
		{"a cookie whose name ends alike", http.Header{"Cookie": {"my_remotedbg_token=T"}}, "", http.Header{"Cookie": {"my_remotedbg_token=T"}}},
		{"a cookie whose value holds the name", http.Header{"Cookie": {"a=remotedbg_token=T"}}, "", http.Header{"Cookie": {"a=remotedbg_token=T"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := takeToken(c.h); got != c.token {
				t.Errorf("token %q, want %q", got, c.token)
			}
			if len(c.h) != len(c.left) {
				t.Errorf("left %v, want %v", c.h, c.left)
			}
			for name, values := range c.left {
				if !slices.Equal(c.h[name], values) {
					t.Errorf("left %v, want %v", c.h, c.left)
				}
			}
		})
	}
	if got := takeToken(nil); got != "" {
		t.Errorf("of nil: %q", got)
	}
	if got := takeToken(readOnly{"T"}); got != "T" {
		t.Errorf("of a header that cannot be changed: %q", got)
	}
}

// TestTakeTokenLeavesTheMap: what is outside of the gate may be reading it.
func TestTakeTokenLeavesTheMap(t *testing.T) {
	before := http.Header{TokenHeader: {"T"}, "Cookie": {"a=1; remotedbg_token=U"}, "X": {"y"}}
	r := &http.Request{Header: before}
	if got := takeTokenHTTP(r); got != "T" {
		t.Errorf("token %q", got)
	}
	if len(before) != 3 || before.Get("Cookie") != "a=1; remotedbg_token=U" || before.Get(TokenHeader) != "T" {
		t.Errorf("the map was changed: %v", before)
	}
	if len(r.Header) != 2 || r.Header.Get("Cookie") != "a=1" || r.Header.Get("X") != "y" {
		t.Errorf("the handler sees %v", r.Header)
	}
	without := http.Header{"Cookie": {"a=1"}}
	r.Header = without
	if n := testing.AllocsPerRun(100, func() { takeTokenHTTP(r) }); n != 0 || takeTokenHTTP(r) != "" {
		t.Errorf("a request without a token: %v allocations", n)
	}
}

// readOnly is a Header without Del.
type readOnly struct{ token string }

func (r readOnly) Values(name string) []string {
	if name == TokenHeader {
		return []string{r.token}
	}
	return nil
}

func TestRuleWithToken(t *testing.T) {
	raw := rawRule("203.0.113.0/24", "", "/orders", "", "")
	raw.token = 1
	open := rawRule("192.0.2.0/24", "", "", "", "")
	b := boardWith(raw, open)
	b.tokenKey = tokenKey{9}
	set := new(ruleCache).current(b)
	if !set.wantToken() {
		t.Fatal("no token is asked for")
	}
	good := makeToken(tokenKey{9}, 1<<62)
	for _, c := range []struct {
		name, addr, token string
		want              bool
	}{
		{"both", "203.0.113.7", good, true},
		{"no token", "203.0.113.7", "", false},
		{"token of another key", "203.0.113.7", makeToken(tokenKey{8}, 1<<62), false},
		{"token, but not allowlisted", "198.51.100.1", good, false},
		{"a rule without", "192.0.2.7", "", true},
	} {
		q := request(c.addr)
		q.token = c.token
		if got := set.matches(q); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if new(ruleCache).current(boardWith(open)).wantToken() || (*ruleSet)(nil).wantToken() {
		t.Error("a token is asked for where no rule does")
	}
}
