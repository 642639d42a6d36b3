package redact_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/redact"
)

func TestNames(t *testing.T) {
	secret := []string{
		"password", "Password", "dbPassword", "DB_PASSWORD", "password2", "passwords", "passwordHash", "dbpassword", "userpasswd",
		"apiKey", "API_KEY", "X-Api-Key", "apikey", "APIKey", "myAPIKeys", "x-apikey",
		"token", "accessToken", "Token", "authtoken", "refresh_token", "csrf-token", "tokens",
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "sessionCookie",
		"privateKey", "PRIVATE KEY", "secretKey", "clientSecret", "aws_secret_access_key",
		"ssn", "SSN", "customerSSN", "cardNumber", "card_number", "CVV", "cvc2", "iban", "IBAN",
		"main.apiKey", "github.com/x/y.adminPassword", "*main.config.password",
	}
	plain := []string{
		"", "tokenizer", "tokenize", "Tokenizer", "name", "order", "Total", "card", "number", "keyboard", "key", "api", "apiVersion",
		"secretary", "cookies2go/x.Order", "github.com/x/token.Position", "path", "user", "company", "compass", "passes", "author", "authors",
		"session", "private", "ssn2nd/x.y",
	}
	for _, n := range secret {
		if !redact.Default().Name(n) {
			t.Errorf("%q marks no secret", n)
		}
	}
	for _, n := range plain {
		if redact.Default().Name(n) {
			t.Errorf("%q marks a secret", n)
		}
	}
}

func TestTypeNames(t *testing.T) {
	for name, want := range map[string]bool{
		"net/http.Cookie": true, "*net/http.Cookie": true, "main.AccessToken": true, "crypto/rsa.PrivateKey": true, "main.APIKey": true,
		"main.TokenService": false, "main.PasswordHasher": false, "net/http/cookiejar.Jar": false, "main.Order": false, "main.Box[main.Token]": false,
	} {
		if got := redact.Default().TypeName(name); got != want {
			t.Errorf("type %s: %v", name, got)
		}
	}
}

const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

func TestText(t *testing.T) {
	const m = redact.Mark
	rows := []struct{ name, in, want string }{
		{"nothing", "GET /orders/7 from 203.0.113.7", "GET /orders/7 from 203.0.113.7"},
		{"jwt", "id " + jwt + " ok", "id " + m + " ok"},
		{"a word with eyJ", "keyJar.a.b", "keyJar.a.b"},
		{"bearer", "Bearer abc123def", "Bearer " + m},
		{"bearer of text", "bearer instrument", "bearer instrument"},
		{"basic", "Basic dXNlcjpwYXNz", "Basic " + m},
		{"basic training", "a basic training", "a basic training"},
		{"visa", "card 4111 1111 1111 1111 used", "card " + m + " used"},
		{"visa in one", "4111111111111111", m},
		{"amex", "378282246310005", m},
		{"wrong check digit", "4111111111111112", "4111111111111112"},
		{"nanoseconds", "1763848481123456789", "1763848481123456789"},
		{"in a longer number", "94111111111111111", "94111111111111111"},
		{"pem", "x -----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY----- y", "x " + m + " y"},
		{"public key", "-----BEGIN PUBLIC KEY-----\nMIIEow==\n-----END PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----\nMIIEow==\n-----END PUBLIC KEY-----"},
		{"pem cut", "-----BEGIN PRIVATE KEY-----\nMIIEow", m},
		{"aws", "AKIAIOSFODNN7EXAMPLE", m},
		{"github", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", m},
		{"stripe", "key sk_live_4eC39HqLyjWDarjtT1zdp7dc", "key " + m},
		{"url", "postgres://shop:hunter2@db/shop", "postgres://shop:" + m + "@db/shop"},
		{"url without password", "https://a.example/b@c", "https://a.example/b@c"},
		{"query", "/x?a=1&token=abc&b=2", "/x?a=1&token=" + m + "&b=2"},
		{"query of no secret", "/x?a=1&b=2", "/x?a=1&b=2"},
		{"json", `{"user":"a","password":"b c"}`, `{"user":"a","password":"` + m + `"}`},
		{"json with spaces", `{"api_key": "b"}`, `{"api_key": "` + m + `"}`},
		{"json in a string", `{\"password\":\"abc\"}`, `{\"password\":\"` + m + `\"}`},
		{"header line", "Host: a\r\nAuthorization: x y\r\nAccept: b\r\n", "Host: a\r\nAuthorization: " + m + "\r\nAccept: b\r\n"},
		{"prose", "token: not found", "token: not found"},
		{"format", "password=%s", "password=%s"},
		{"comparison", "token == nil", "token == nil"},
	}
	for _, r := range rows {
		if got := redact.Default().Text(r.in); got != r.want {
			t.Errorf("%s: %q became %q, not %q", r.name, r.in, got, r.want)
		}
		if got := redact.Default().Lift().Text(r.in); got != r.in {
			t.Errorf("%s: lifted, and %q became %q", r.name, r.in, got)
		}
	}
}

func TestSecrets(t *testing.T) {
	var s redact.Secrets
	const secret = "s3cr3t/of \"mine\""
	s.Add(secret, false)
	s.Add("for-ever-9", true)
	for _, text := range []string{
		secret, "x" + secret + "y", `s3cr3t/of \"mine\"`, "s3cr3t%2Fof+%22mine%22", "s3cr3t%2Fof%20%22mine%22",
	} {
		if got := s.Scrub(text, false); strings.Contains(got, "s3cr3t") {
			t.Errorf("%q became %q", text, got)
		}
		if got := s.Scrub(text, true); got != text {
			t.Errorf("lifted: %q became %q", text, got)
		}
	}
	for i := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", i) + secret + "tail"))
		if got := s.Scrub(text, false); !strings.Contains(got, redact.Mark) {
			t.Errorf("in base64 behind %d bytes: %q", i, got)
		}
	}
	if got := s.Scrub("<for-ever-9>", true); got != "<"+redact.Mark+">" {
		t.Errorf("hidden for ever: %q", got)
	}
	for _, worthless := range []string{"abc", "aaaaaaaa", "", "Bearer"} {
		s.Add(worthless, false)
		if got := s.Scrub(worthless, false); got != worthless {
			t.Errorf("%q is known", worthless)
		}
	}
}

// A long secret is known by its parts, wherever they are cut.
func TestLongSecret(t *testing.T) {
	var b strings.Builder
	for i := range 3000 {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz0123456789"[(i*i+i/7)%36])
	}
	var s redact.Secrets
	s.Add(b.String(), false)
	if got := s.Scrub("<"+b.String()+">", false); got != "<"+redact.Mark+">" {
		t.Errorf("%d bytes are left", len(got))
	}
	if got := s.Scrub(b.String()[500:1200], false); len(got) > 250 {
		t.Errorf("of a part %d bytes are left", len(got))
	}
}

func TestDerive(t *testing.T) {
	rows := map[string]string{
		"Bearer abc": "abc",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("ann:hunter22")): "hunter22",
		"a=1; sid=xyz%2Fzy": "xyz%2Fzy",
		"abc%20def":         "abc def",
	}
	for in, want := range rows {
		found := false
		for _, d := range redact.Derive(in) {
			found = found || d == want
		}
		if !found {
			t.Errorf("of %q: %q, without %q", in, redact.Derive(in), want)
		}
	}
}

func TestCollapse(t *testing.T) {
	fill := func(addr uint64, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = redact.Fill(addr + uint64(i))
		}
		return string(b)
	}
	for _, r := range [][2]string{
		{fill(0, 6), redact.Mark}, {"a" + fill(1, 40) + "b", "a" + redact.Mark + "b"},
		{"~~~~~", "~~~~~"}, {"^_^", "^_^"}, {"~" + fill(0, 8), "~" + redact.Mark}, {"", ""},
		{fill(0, 6) + " " + fill(0, 7), redact.Mark + " " + redact.Mark},
	} {
		if got := redact.Collapse(r[0]); got != r[1] {
			t.Errorf("%q became %q, not %q", r[0], got, r[1])
		}
	}
	if !redact.Filled([]byte("abc"+fill(3, 6))) || redact.Filled([]byte("abc"+fill(3, 5)+"x~~~")) {
		t.Error("Filled is wrong")
	}
}

func TestJSON(t *testing.T) {
	up := func(s string) string { return strings.ReplaceAll(s, "secret", "X") }
	for _, r := range [][2]string{
		{`{"a":"secret","b":["x\n\"secret\""],"n":12}`, `{"a":"X","b":["x\n\"X\""],"n":12}`},
		{`{"secret":1}`, `{"X":1}`}, {`{}`, `{}`}, {`"secret`, `"secret`}, {`"\u0073ecret"`, `"X"`}, {`"\`, `"\`},
	} {
		if got := string(redact.JSON([]byte(r[0]), up)); got != r[1] {
			t.Errorf("%s became %s, not %s", r[0], got, r[1])
		}
	}
}

func TestExpression(t *testing.T) {
	isPackage := func(name string) bool { return name == "token" || name == "time" }
	rows := []struct {
		expr, secret string
		casts        int
		register     bool
	}{
		{"order.Total", "", 0, false},
		{"password", "password", 0, false},
		{"len(password)", "password", 0, false},
		{`password < "m"`, "password", 0, false},
		{"s.apiKey[:3]", "apiKey", 0, false},
		{"[]byte(x.secret)", "secret", 0, false},
		{`r.Header["Authorization"]`, "Authorization", 0, false},
		{`r.Header["Accept"]`, "", 0, false},
		{"token.FileSet", "", 0, false},
		{"token.Secret", "Secret", 0, false},
		{"*(*string)(0xc000010000)", "", 1, false},
		{`*(*"main.T")(0xc000010000)`, "", 1, false},
		{"*(*string)(*(*uintptr)(0xc000))", "", 2, false},
		{"(*[64]uint8)(p)", "", 1, false},
		{"int(x) + len(y)", "", 0, false},
		{"time.Duration(5)", "", 1, false},
		{"runtime.frame(1).password", "password", 0, false},
		{"XMM0", "", 0, true}, {"_rax", "", 0, true}, {"r12 + 1", "", 0, true}, {"request", "", 0, false},
	}
	for _, r := range rows {
		e, err := redact.Default().Expression(r.expr, isPackage)
		if err != nil || e.Secret != r.secret || len(e.Casts) != r.casts || (e.Register != "") != r.register {
			t.Errorf("%s: %+v, %v", r.expr, e, err)
		}
	}
}

func TestParse(t *testing.T) {
	p, err := redact.Parse(strings.NewReader("# ours\nname customer number\n\nshow token count  # a number\nremove iban\npattern card off\n"), "rules")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"customerNumber": true, "tokenCount": false, "token": true, "iban": false, "password": true} {
		if p.Name(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if got := p.Text("4111111111111111"); got != "4111111111111111" {
		t.Error("the pattern is on")
	}
	if !redact.Default().Name("iban") {
		t.Error("a file has changed the default rules")
	}
	_, err = redact.Parse(strings.NewReader("hide x\nname\nname 42\nremove nothing\npattern visa on\npattern card\nname ok"), "rules")
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != 6 {
		t.Fatalf("%v", err)
	}
	for i, e := range joined.Unwrap() {
		if prefix := "rules:" + string(rune('1'+i)) + ": "; !strings.HasPrefix(e.Error(), prefix) {
			t.Errorf("%q does not begin with %q", e, prefix)
		}
	}
}

// hostile are texts that make careless matchers slow.
var hostile = []string{
	"a", "=", ":", "token", "token=", "token=token", "token: ", "\ntoken:", "eyJ", "eyJ.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ",
	"4", "4 ", "4111-", "://a:b@", "://", "@", "bearer ", "bearer bearer", "\"password\":\"", "password='", `\"`, "AKIA", "~^", "eyJ.eyJ",
}

func TestLinearTime(t *testing.T) {
	var s redact.Secrets
	for i := range 200 {
		s.Add("aaaab"+strings.Repeat("aaaab", i%30)+"-x1", false)
	}
	const size = 1 << 20
	for _, unit := range hostile {
		text := strings.Repeat(unit, size/len(unit))
		began := time.Now()
		redact.Default().Find([]byte(text))
		s.Find([]byte(text), false)
		redact.Collapse(text)
		// 1 MiB takes some 20 ms; a square of it would take hours.
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%d bytes of %q take %v", len(text), unit, took)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("name customer number\nshow token count\nremove iban\npattern card off\n")
	f.Add("name \x00\nname é\xff\n#")
	f.Fuzz(func(t *testing.T, file string) {
		p, err := redact.Parse(strings.NewReader(file), "f")
		if (p == nil) == (err == nil) {
			t.Fatalf("a policy and an error: %v", err)
		}
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("%q names no line", line)
				}
			}
			return
		}
		p.Name("customerNumber")
		p.Text("token=abc")
	})
}

func FuzzText(f *testing.F) {
	for _, h := range hostile {
		f.Add(h + h)
	}
	f.Add("id " + jwt)
	f.Add("x=4111 1111 1111 1111")
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, s := range redact.Default().Find([]byte(text)) {
			if s.Start < last || s.End <= s.Start || s.End > len(text) {
				t.Fatalf("%v of %q", s, text)
			}
			last = s.End
		}
		redact.Default().Text(text)
		redact.Default().Name(text)
		redact.Default().TypeName(text)
		redact.Collapse(text)
		redact.JSON([]byte(text), redact.Default().Text)
		_, _ = redact.Default().Expression(text, nil)
		redact.Derive(text)
	})
}

// FuzzSecrets compares the search with a naive one.
func FuzzSecrets(f *testing.F) {
	f.Add("hunter22", "my hunter22 is hunter22")
	f.Add("aaabaaab", "aaabaaabaaab")
	f.Fuzz(func(t *testing.T, secret, text string) {
		var s redact.Secrets
		s.Add(secret, true)
		if s.Len() == 0 {
			return
		}
		got := s.Scrub(text, true)
		if len(secret) < 192 && !strings.Contains(redact.Mark, secret) && strings.Contains(strings.ReplaceAll(got, redact.Mark, "\x00"), secret) {
			t.Errorf("%q is in %q", secret, got)
		}
		if got != text && s.Find([]byte(text), true) == nil {
			t.Errorf("%q became %q", text, got)
		}
	})
}
