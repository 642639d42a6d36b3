package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/remotedbg/remotedbg/internal/access"
)

// memory is a sink that the test fills, breaks and hangs.
type memory struct {
	mu     sync.Mutex
	fail   error
	lines  []string
	synced int

	hang chan struct{} // write waits for it to be closed; nil: it does not
}

func (m *memory) write(line []byte) error {
	if m.hang != nil {
		<-m.hang
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.lines = append(m.lines, string(line))
	return nil
}

func (m *memory) sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.synced = len(m.lines)
	return m.fail
}

func (m *memory) close() error   { return nil }
func (m *memory) String() string { return "memory" }

func (m *memory) breaks(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memory) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.lines...)
}

// open opens a Log whose time stands still.
func open(t *testing.T, cfg Config) *Log {
	t.Helper()
	cfg.now = func() time.Time { return time.Date(2026, 3, 14, 15, 9, 26, 535897000, time.UTC) }
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// record has l write a line that need not be whole, and returns it.
func record(t *testing.T, l *Log, m *memory, attrs ...slog.Attr) string {
	t.Helper()
	if err := l.Record(Command, attrs...); err != nil {
		t.Fatal(err)
	}
	if err := l.RecordSync(AgentEnded); err != nil { // what is before it has been written then
		t.Fatal(err)
	}
	lines := m.all()
	return lines[len(lines)-2]
}

func decode(t *testing.T, line string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return m
}

func TestNilLogRecordsNothing(t *testing.T) {
	var l *Log
	if l.With(slog.Int("a", 1)) != nil || l.Record(Command) != nil || l.RecordSync(Command) != nil || l.Err() != nil || l.Close() != nil {
		t.Error("a nil log fails")
	}
}

func TestEveryLineSaysWhenWhatWho(t *testing.T) {
	m := &memory{}
	l := open(t, Config{sink: m, Common: []slog.Attr{slog.Int("agent", 7)}})
	s := l.With(Who(access.Identity{Proof: access.ProofUID, Name: "ada", UID: 1000, From: "127.0.0.1:9", Role: access.Observe})...)
	if err := s.RecordSync(Command, slog.String("command", "next")); err != nil {
		t.Fatal(err)
	}
	if m.synced != 1 {
		t.Error("RecordSync did not sync")
	}
	want := `{"time":"2026-03-14T15:09:26.535897Z","event":"command","seq":1,"agent":7,"who":"ada","proof":"uid","from":"127.0.0.1:9","role":"observe","uid":1000,"command":"next"}` + "\n"
	if got := m.all()[0]; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

// What clients and requests choose must neither break a line nor hide one.
func TestHostileTexts(t *testing.T) {
	for name, text := range map[string]string{
		"newline":          "a\n{\"event\":\"command\"}",
		"quote":            `a","event":"x`,
		"escape":           "\x1b[2J",
		"C1 control":       "a\u009b2Jb",
		"bidi override":    "a\u202eb",
		"zero width":       "a\u200bb",
		"line separator":   "a\u2028b",
		"beyond the BMP":   "a\U000e0041b",
		"nothing printing": "\u2066\u2069",
	} {
		m := &memory{}
		l := open(t, Config{sink: m})
		if err := l.RecordSync(Command, slog.String("command", text)); err != nil {
			t.Fatal(err)
		}
		line := m.all()[0]
		if strings.Count(line, "\n") != 1 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < 0x20 || unprintable(r) }) {
			t.Errorf("%s: %q", name, line)
		}
		if got := decode(t, line)["command"]; got != text {
			t.Errorf("%s: reads back as %q", name, got)
		}
		_ = l.Close()
	}
}

func TestBounds(t *testing.T) {
	m := &memory{}
	l := open(t, Config{sink: m})
	big := strings.Repeat("ü", 1<<20)
	line := record(t, l, m, slog.String("command", big), slog.Any("arguments", errors.New(big)), slog.Any("ids", make([]string, 1000)))
	if len(line) > 2*maxText+600 || !utf8.ValidString(line) || !strings.Contains(line, "(2097152 bytes)") || !strings.Contains(line, fmt.Sprintf("and %d more", 1000-maxList)) {
		t.Errorf("%d bytes: %s", len(line), line)
	}
	many := make([]slog.Attr, 100)
	for i := range many {
		many[i] = slog.String(fmt.Sprintf("k%d", i), strings.Repeat("x", maxText))
	}
	got := decode(t, record(t, l, m, many...))
	if got["event"] != Command || got["seq"] != 3.0 || got["cut_from"].(float64) < 100*maxText || !strings.HasPrefix(got["k99"].(string), "xxx") {
		t.Errorf("a line beyond the bound: %v", got)
	}
	// Nothing that a client sends makes the line lose who it was.
	tree := map[string]any{}
	for i := range 1000 {
		tree[fmt.Sprint(i)] = many
	}
	worst := strings.Repeat("\x01", maxText)
	line = record(t, l.With(slog.String("who", "ada"), slog.String("from", worst)), m, slog.String("command", worst), slog.String("rule", worst),
		slog.String("path", worst), slog.String("reason", worst), slog.String("file", worst), slog.String("function", worst), slog.Any("arguments", tree))
	if len(line) > maxLine || decode(t, line)["who"] != "ada" {
		t.Errorf("%d bytes: %s", len(line), line)
	}
}

// What must be on the disk before something is done is there whole: nobody can hide
// what it is behind what else is in the line.
func TestRecordSyncWritesAllOrNothing(t *testing.T) {
	m := &memory{}
	l := open(t, Config{sink: m})
	deep := any(1)
	for range maxDepth + 1 {
		deep = []any{deep}
	}
	padded := map[string]any{"zz": "call evil()"}
	for i := range maxList {
		padded[fmt.Sprintf("a%03d", i)] = i + 1
	}
	half := strings.Repeat("x", maxText)
	for name, v := range map[string]any{
		"long text": strings.Repeat(" ", maxText) + "call evil()", "list": make([]int, maxList+1), "depth": deep, "keys": padded,
		"line": []string{half, half, half, half, half, half, half, half, half, half, half, half, half, half, half, half, half},
	} {
		if err := l.RecordSync(Command, slog.Any("arguments", v)); !errors.Is(err, ErrCut) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.RecordSync(Command, slog.String("arguments", half)); err != nil {
		t.Error(err)
	}
	if lines := m.all(); len(lines) != 1 {
		t.Errorf("%d lines were written", len(lines))
	}
}

func TestEveryTextIsScrubbed(t *testing.T) {
	m := &memory{}
	l := open(t, Config{sink: m, Scrub: func(s string) string { return strings.ReplaceAll(s, "hunter2", "<redacted>") },
		Common: []slog.Attr{slog.String("name", "hunter2")}})
	line := record(t, l.With(slog.String("who", "hunter2")), m,
		slog.String("command", "x hunter2"), slog.Any("reason", fmt.Errorf("hunter2")),
		slog.Any("rules", []string{"a", "hunter2"}), slog.Group("arguments", "value", "hunter2", "n", 1),
		slog.String("long", strings.Repeat("y", maxText-4)+"hunter2"))
	if strings.Contains(line, "hunt") || strings.Count(line, "<redacted>") != 6 {
		t.Error(line)
	}
}

func TestArguments(t *testing.T) {
	m := &memory{}
	l := open(t, Config{sink: m, Hide: func(name string) bool { return strings.Contains(strings.ToLower(name), "password") }})
	for _, tt := range []struct{ given, want string }{
		{`{"source":{"path":"/a.go"},"breakpoints":[{"line":12,"condition":"x > 3","column":0}],"lines":null,"sourceModified":false}`,
			`{"breakpoints":[{"condition":"x > 3","line":12}],"source":{"path":"/a.go"}}`},
		{`{"name":"u.Password","value":"hunter2"}`, `{"name":"u.Password","value":"‹redacted›"}`},
		{`{"expression":"password","value":"hunter2","frameId":9007199254740993}`, `{"expression":"password","frameId":9007199254740993,"value":"‹redacted›"}`},
		{`{"Scope":{"GoroutineID":-1},"Symbol":"password","Value":"hunter2"}`, `{"Scope":{"GoroutineID":-1},"Symbol":"password","Value":"‹redacted›"}`},
		{`{"name":"user","value":"ada","password":"hunter2"}`, `{"name":"user","password":"‹redacted›","value":"ada"}`},
		{`[[[[[1]]]]]`, `[[[[[1]]]]]`},
		{`"<html> & co"`, `"<html> & co"`},
	} {
		if err := l.RecordSync(Command, slog.Any("arguments", json.RawMessage(tt.given))); err != nil {
			t.Fatal(err)
		}
		lines := m.all()
		if got := lines[len(lines)-1]; !strings.HasSuffix(got, `"arguments":`+tt.want+"}\n") {
			t.Errorf("%s is written as %s", tt.given, got)
		}
	}
}

// A full disk is an error of the line that meets it; when there is room again the
// log says what is missing.
func TestLostLinesAreCounted(t *testing.T) {
	m := &memory{}
	var told []string
	l := open(t, Config{sink: m, Log: func(s string) { told = append(told, s) }})
	if err := l.RecordSync(Command); err != nil {
		t.Fatal(err)
	}
	m.breaks(errors.New("no space left on device"))
	for range 2 {
		_ = l.Record(RequestTaken)
	}
	err := l.RecordSync(Command)
	if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "no space left on device") || l.Err() == nil {
		t.Fatalf("a full disk: %v; %v", err, l.Err())
	}
	m.breaks(nil)
	if err := l.RecordSync(Command); err != nil || l.Err() != nil {
		t.Fatalf("room again: %v, %v", err, l.Err())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines := m.all()
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	lost, last := decode(t, lines[1]), decode(t, lines[2])
	if lost["event"] != Lost || lost["lines"] != 3.0 || last["seq"] != 5.0 {
		t.Errorf("%v; %v", lost, last)
	}
	if len(told) != 2 || !strings.Contains(told[0], "no space left") || !strings.Contains(told[1], "written again") {
		t.Errorf("the operator was told %q", told)
	}
	if err := l.RecordSync(Command); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A disk that hangs delays nobody but whoever asked for the line to be on it, and
// that one for a bounded time. What is queued is bounded too.
func TestDiskThatHangs(t *testing.T) {
	m := &memory{hang: make(chan struct{})}
	l := open(t, Config{sink: m, patience: 50 * time.Millisecond})
	began := time.Now()
	if err := l.RecordSync(Command); !errors.Is(err, ErrLost) {
		t.Fatalf("the disk hangs: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("RecordSync took %v", took)
	}
	if err := l.RecordSync(Refused, slog.String("command", "given up in the queue")); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	text := slog.String("command", strings.Repeat("x", maxText))
	var failed int
	for range 2 * maxQueued / maxText {
		if l.Record(Command, text) != nil {
			failed++
		}
	}
	if l.queued > maxQueued || failed == 0 || l.Err() == nil {
		t.Errorf("%d bytes are queued, %d were refused: %v", l.queued, failed, l.Err())
	}
	if err := l.Close(); !errors.Is(err, ErrLost) {
		t.Errorf("Close: %v", err)
	}
	close(m.hang)
	<-l.done
	lines := m.all()
	if strings.Contains(strings.Join(lines, ""), "given up in the queue") {
		t.Error("a line was written whose command was refused before its turn")
	}
	var lost bool
	for _, line := range lines {
		got := decode(t, line)
		if got["event"] == Lost {
			lost = got["lines"] == float64(failed)
		}
	}
	if !lost {
		t.Errorf("the %d lost lines are not told of", failed)
	}
}

// FuzzLine: whatever a text is, and whatever JSON the arguments are, they make one
// bounded line of JSON that a terminal shows as it is, and the text is read back.
func FuzzLine(f *testing.F) {
	f.Add("a\nb\x1b[2J\u202e\U000e0041", `{"a":[1,{"b":"\u0000"}]}`)
	f.Add(strings.Repeat("\x00", 2000), `[[[[[[1]]]]]]`)
	f.Add("\xff\xfe", `{"\u202e":"x","...":1e999}`)
	f.Fuzz(func(t *testing.T, text, raw string) {
		w := &writer{}
		attrs := []slog.Attr{slog.String("command", text), slog.Any("arguments", json.RawMessage(raw)), slog.String("who", "ada")}
		rest, _ := w.format(nil, attrs)
		line := finish(time.Unix(0, 0), Command, 7, rest)
		if len(line) > maxLine || strings.Count(string(line), "\n") != 1 || line[len(line)-1] != '\n' {
			t.Fatalf("%d bytes: %q", len(line), line)
		}
		if i := strings.IndexFunc(string(line[:len(line)-1]), func(r rune) bool { return r < 0x20 || unprintable(r) }); i >= 0 {
			t.Fatalf("byte %d of %q", i, line)
		}
		got := decode(t, string(line))
		if got["event"] != Command || got["who"] != "ada" || got["seq"] != 7.0 {
			t.Fatalf("%q", line)
		}
		if utf8.ValidString(text) && len(text) <= shortText && got["command"] != text {
			t.Fatalf("%q reads back as %q", text, got["command"])
		}
	})
}
