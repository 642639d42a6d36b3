//go:build linux && amd64

package integration_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// What the target vault is planted with: by its place, what nobody may see.
type secrets map[string]string

// placesOfVault are those where the target plants them itself.
var placesOfVault = []string{
	"global", "map", "syncmap", "channel", "closure", "pointer", "field", "tag", "label", "attribute", "bytes", "jwt",
}

// placesOfRequest are the parts of a request that have one.
var placesOfRequest = []string{"bearer", "cookie", "header", "query", "body"}

func planted(seed, place string) string {
	sum := sha256.Sum256([]byte(seed + "/" + place))
	return "v" + hex.EncodeToString(sum[:])[:23]
}

// vaultRig is the target vault, and a request full of secrets.
type vaultRig struct {
	*rig
	hidden secrets
	marks  map[string]harness.Mark
	audit  string
}

func newVaultRig(t *testing.T) *vaultRig {
	t.Helper()
	binary, err := builder.Target("vault")
	must(t, err)
	seed := fmt.Sprint(t.Name(), time.Now().UnixNano())
	audit := filepath.Join(t.TempDir(), "audit.log") // removed after the agent has ended
	v := &vaultRig{rig: rigOf(t, binary, "-seed", seed), hidden: secrets{}, audit: audit}
	for _, place := range append(placesOfVault, placesOfRequest...) {
		v.hidden[place] = planted(seed, place)
	}
	v.marks, err = harness.Marks(filepath.Join(builder.Root, "integration", "targets", "vault"))
	must(t, err)
	return v
}

// transfer sends the request; its response comes on the channel.
func (v *vaultRig) transfer() <-chan error {
	done := make(chan error, 1)
	v.pending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		done <- v.send1(ctx)
	})
	return done
}

func (v *vaultRig) send1(ctx context.Context) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(harness.Allowed)}}
	client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	body := fmt.Sprintf(`{"amount": 12, "password": %q, "purpose": "rent"}`, v.hidden["body"])
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.service.URL+"/transfer?page=2&token="+v.hidden["query"], strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+v.hidden["bearer"])
	req.Header.Set("Cookie", "theme=dark; sid="+v.hidden["cookie"])
	req.Header.Set("X-Api-Key", v.hidden["header"])
	req.Header.Set("X-Colour", "vermilion")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "Ada: 799")) {
		err = fmt.Errorf("status %d, %q", resp.StatusCode, text)
	}
	return err
}

// tap keeps what comes from the agent.
type tap struct {
	net.Conn
	mu   sync.Mutex
	seen bytes.Buffer
}

func tapped(t *testing.T, a *harness.Agent) *tap {
	t.Helper()
	conn, err := net.DialTimeout("tcp", a.Addr, 10*time.Second)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return &tap{Conn: conn}
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Write(p[:n])
	return n, err
}

func (c *tap) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.seen.Bytes())
}

// none fails for each secret that is in data, in any form that a client could
// read at a glance.
func (v *vaultRig) none(what string, data []byte) {
	v.t.Helper()
	for place, secret := range v.hidden {
		for form, text := range formsOf(secret) {
			if i := bytes.Index(data, []byte(text)); i >= 0 {
				v.t.Errorf("%s: the secret of %s is in it (%s): %q", what, place, form, data[max(0, i-200):min(len(data), i+60)])
				break
			}
		}
	}
	if len(v.hidden) == 1 {
		return // redaction is lifted
	}
	for _, card := range []string{"4111111111111111", "4111 1111 1111 1111"} {
		if bytes.Contains(data, []byte(card)) {
			v.t.Errorf("%s: the number of the card is in it", what)
		}
	}
}

// formsOf are the encodings of a secret; halves count too: nothing is cut so that
// they are let through.
func formsOf(s string) map[string]string {
	forms := map[string]string{
		"plain": s, "first part": s[:14], "last part": s[len(s)-14:], "hex": hex.EncodeToString([]byte(s)),
	}
	for shift := range 3 {
		e := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat(" ", shift) + s))
		forms[fmt.Sprint("base64 ", shift)] = e[4 : len(e)-4]
	}
	return forms
}

// noneInFiles looks at what the agent has written.
func (v *vaultRig) noneInFiles(a *harness.Agent) {
	v.t.Helper()
	v.none("the agent's log", []byte(a.Stderr.String()+a.Stdout.String()))
	audit, err := os.ReadFile(v.audit)
	must(v.t, err)
	if len(audit) == 0 {
		v.t.Error("the audit is empty")
	}
	v.none("the audit", audit)
}

// attacks are expressions that a secret can be asked for with. %s is an address
// that the client was shown.
var attacks = []string{
	"acct.apiKey", "acct.apiKey[:3]", "acct.apiKey[0]", "len(acct.apiKey)", "[]byte(acct.apiKey)", "string(blob)", "blob", "blob[2]",
	"*acct", "acct.Card", "acct.Card.cardNumber", "acct.Card.cvv", "acct.Card.cvv == 737", `acct.apiKey > "v5"`, "&acct.apiKey", "*(&acct.apiKey)",
	"acct.Note", "acct.Note[1:9]", "v.accounts[0].Note", "*v.accounts[0]", "(*acct).Note",
	"alias", "alias[7:]", "alias[8]", "alias[7:20]", "[]byte(alias)", "[]rune(alias)", "string([]byte(alias))", "copied", "string(copied)", "copied[10:25]",
	"plain", "plain[28:]", "body", "string(body)", "string(body[20:60])", "failed", `failed.(*"*fmt.wrapError")`, "failed.(data)",
	"r", "*r", "r.Header", `r.Header["Authorization"]`, `r.Header["Authorization"][0]`, `r.Header["Cookie"][0][5:]`, `r.Header["X-Api-Key"]`,
	"r.URL", "r.URL.RawQuery", "r.URL.RawQuery[12:]", "r.RequestURI", "r.RequestURI[17:30]", "r.Form", "r.ctx", "ctx", "*ctx.(data)",
	"v.settings", `v.settings["db_password"]`, `v.settings["colour"]`, "v.sessions", "v.queue", "v.signer", "v.signer.signingKey", "v.root", "**v.root", "(**v.root).next.secret", "*(**v.root).next.secret",
	"main.adminPassword", "main.seed", "v.Copies", "v.Copies[0]", "v.Copies[3][2:9]", "v.Copies[8]", "kept", "kept.(data)", "string(v.Copies[5])", "attrs", "attrs[0]", "attrs[0].Value", "attrs[0].Value[1:]", "reference", "reference[0]", "reference[0][3:60]", "reference[1][5:12]", "reference[1]",
	"w", "*w.(data)", "w.(data).conn", "w.(data).conn.bufr", "w.(data).conn.bufr.buf", "string(w.(data).conn.bufr.buf)", "w.(data).conn.bufr.buf[60:120]", "w.(data).conn.bufr.buf[100]",
	"w.(data).req.Header", "w.(data).reqBody", "runtime.curg", "runtime.curg.labels", "*runtime.curg", "runtime.frame(1).hidden",
	"RAX", "XMM0", "XMM1.uint8", "R12", "_xmm2", "os.Args", "syscall.envs",
	"*(*string)(%s)", "*(*[64]uint8)(%s)", "*(*[8]uint64)(%s)", "(*[4096]uint8)(%s)", `*(*"main.account")(%s)`, "*(**string)(%s)", "*(*[2]uintptr)(%s)", "*(*uint64)(%s + 8)", "*(*[]uint8)(%s)",
	"*(*string)(*(*uintptr)(%s))", "unsafe.Pointer(%s)", "(*struct { a, b string })(%s)", "%s", "uintptr(&acct.Owner)", "*(*string)(uintptr(&acct.Owner)+16)",
}
