package audit

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
)

var update = flag.Bool("update", false, "write docs/audit.md anew")

// examples has what is recorded of each event.
var examples = map[string][]slog.Attr{
	AgentStarted: {slog.Int("pid", 4711), slog.String("name", "shop"), slog.String("version", "v0.4.0"), slog.String("role", "control"),
		slog.String("listen", "127.0.0.1:2345"), slog.String("for", "15m0s"), slog.Int("uid", 1000)},
	AgentArmed: {slog.Int("pid", 4711), slog.Any("rules", []string{"203.0.113.7/32 GET /orders"}), slog.Time("until", time.Date(2026, 3, 14, 15, 24, 26, 0, time.UTC))},
	AgentEnded: {slog.Int("pid", 4711), slog.String("reason", "expired after 15m0s")},

	ConnectionAccepted: {slog.String("listener", "127.0.0.1:2345")},
	ConnectionClosed:   {slog.String("listener", "127.0.0.1:2345"), slog.String("reason", "it has ended"), slog.Int("open_ms", 93120)},
	ConnectionRefused: append(unknown("127.0.0.1:40022"), slog.String("listener", "127.0.0.1:2345"),
		slog.String("reason", "remotedbg: the other end belongs to uid 33 and not to uid 1000")),
	Attack: append(unknown("127.0.0.1:40024"), slog.String("listener", "127.0.0.1:2345"),
		slog.String("reason", `remotedbg: it speaks http (host "rebound.example", origin "https://evil.example"): a browser or a proxy`),
		slog.String("first", "POST / HTTP/1.1\r\nHost: rebound.example\r\nOrigin: https://evil.exam")),

	SessionOpened: {slog.Int("session", 1)},
	SessionClosed: {slog.Int("session", 1), slog.String("reason", "it has detached")},

	RequestTaken: {slog.Int("session", 1), slog.Int("request", 3), slog.String("rule", "203.0.113.7/32 GET /orders"), slog.String("client", "203.0.113.7"),
		slog.String("method", "GET"), slog.String("path", "/orders/7"), slog.String("route", "/orders/{id}")},
	RequestStopped: {slog.Int("session", 1), slog.Int("request", 3), slog.String("reason", "breakpoint"), slog.String("file", "/src/shop/orders.go"),
		slog.Int("line", 42), slog.String("function", "main.(*shop).order"), slog.Any("breakpoints", []int{1})},
	RequestThawed:   {slog.Int("session", 1), slog.Int("request", 3), slog.String("reason", "continue"), slog.Int("frozen_ms", 18250)},
	RequestReleased: {slog.Int("session", 1), slog.Int("request", 3), slog.String("reason", "it has finished"), slog.Int("stops", 1), slog.Int("frozen_ms", 18250)},

	Command: {slog.Int("session", 1), slog.String("protocol", "dap"), slog.String("command", "evaluate"), slog.Int("request", 3), slog.Bool("mutates", false),
		slog.Any("arguments", json.RawMessage(`{"expression":"order.Total","frameId":1001,"context":"watch"}`))},
	Refused: {slog.Int("session", 1), slog.String("protocol", "dap"), slog.String("command", "setVariable"), slog.Int("request", 3), slog.String("needs", "mutate"),
		slog.String("reason", "remotedbg: beyond the role: setVariable needs the role mutate and this connection has control: attach the agent with --role mutate, or connect as somebody who has it"),
		slog.Any("arguments", json.RawMessage(`{"variablesReference":1002,"name":"total","value":"0"}`))},

	Lost: {slog.Int("lines", 12), slog.Time("since", time.Date(2026, 3, 14, 15, 9, 1, 0, time.UTC)),
		slog.String("reason", "remotedbg: the audit cannot be written: /var/log/remotedbg/audit.log: write /var/log/remotedbg/audit.log: no space left on device")},
}

// unknown is somebody who has proved nothing.
func unknown(from string) []slog.Attr { return Who(access.Identity{From: from}) }

// anonymous are the events that are about nobody, or about somebody unknown.
var anonymous = []string{AgentStarted, AgentArmed, AgentEnded, ConnectionRefused, Attack, Lost}

// TestDocs holds docs/audit.md against what is really written.
func TestDocs(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "audit.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- events: written by go test ./internal/audit -run TestDocs -update -->\n", "<!-- end of events -->"
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the events", path)
	}
	want := before + begin + events(t) + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Errorf("%s is not what is written: run go test ./internal/audit -run TestDocs -update", path)
	}
}

// events is the part of the document that lists them.
func events(t *testing.T) string {
	t.Helper()
	m := &memory{}
	l := open(t, Config{sink: m, Common: []slog.Attr{slog.Int("agent", 4712)}})
	ada := Who(access.Identity{Proof: access.ProofUID, Name: "ada", UID: 1000, From: "127.0.0.1:40020", Role: access.Control})
	var b bytes.Buffer
	for _, k := range Events {
		log := l
		if !slices.Contains(anonymous, k.Event) {
			log = l.With(ada...)
		}
		if len(examples[k.Event]) == 0 {
			t.Errorf("%s has no example", k.Event)
		}
		if err := log.RecordSync(k.Event, examples[k.Event]...); err != nil {
			t.Fatal(err)
		}
		lines := m.all()
		line := lines[len(lines)-1]
		if err := Check([]byte(line)); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n```json\n%s```\n\nFields: `%s`\n", k.Event, sentence(k.Means), line, strings.Join(k.Fields, "`, `"))
	}
	return b.String() + "\n"
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

func TestCheck(t *testing.T) {
	for line, want := range map[string]string{
		`{"time":"t","event":"session.closed","seq":1,"session":1}`: "",
		`{"time":"t","event":"session.closed","sesion":1}`:          "sesion",
		`{"time":"t","event":"session.close"}`:                      "no such event",
		`{"event":"session.closed"}`:                                "no time",
		`{"time":"t"`:                                               "JSON",
	} {
		if err := Check([]byte(line)); err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
