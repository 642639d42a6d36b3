//go:build unix

package audit

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFileIsPrivateAndGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for range 2 {
		l := open(t, Config{To: path})
		if err := l.RecordSync(Command); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	if st.Mode() != 0o600 || strings.Count(string(text), "\n") != 2 {
		t.Errorf("mode %v, %q", st.Mode(), text)
	}
}

// A file that somebody else could have laid there, or can change.
func TestFilesThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(name("good"), nil, 0o600))
	must(os.Symlink(name("good"), name("link")))
	must(os.Symlink(name("nothing"), name("dangling")))
	must(os.WriteFile(name("first"), nil, 0o600))
	must(os.Link(name("first"), name("second")))
	must(os.WriteFile(name("open"), nil, 0o600))
	must(os.Chmod(name("open"), 0o620))
	must(syscall.Mkfifo(name("pipe"), 0o600))
	must(os.Mkdir(name("folder"), 0o700))
	tests := map[string]string{
		"link": "symbolic link", "dangling": "symbolic link", "second": "hard link", "open": "others may write",
		"pipe": "", "folder": "directory", "missing/audit.log": "no such file",
	}
	if os.Geteuid() == 0 {
		must(os.WriteFile(name("theirs"), nil, 0o600))
		must(os.Chown(name("theirs"), 4711, 4711))
		tests["theirs"] = "belongs to uid 4711"
	} else {
		tests["/etc/passwd"] = "permission denied"
	}
	for file, want := range tests {
		path := name(file)
		if filepath.IsAbs(file) {
			path = file
		}
		l, err := Open(Config{To: path})
		if err == nil {
			t.Errorf("%s is taken", file)
			_ = l.Close()
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want it to say %q", file, err, want)
		}
	}
	if _, err := os.Stat(name("nothing")); err == nil {
		t.Error("a file was made through a dangling link")
	}
}

// logrotate renames the file; the next line begins a new one. A link in its place
// is not followed.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.log.1")
	l := open(t, Config{To: path})
	record := func() error { return l.RecordSync(Command) }
	if err := record(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	if err := record(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, old} {
		if text, err := os.ReadFile(file); err != nil || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(old, path); err != nil {
		t.Fatal(err)
	}
	if err := record(); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link in its place: %v", err)
	}
	if text, _ := os.ReadFile(old); strings.Count(string(text), "\n") != 1 {
		t.Errorf("the line went through the link: %q", text)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := record(); err != nil {
		t.Errorf("the link is gone again: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func listenDatagram(t *testing.T) (string, *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return path, conn
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 64<<10)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestJournal(t *testing.T) {
	path, conn := listenDatagram(t)
	s, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, Config{sink: s})
	if err := l.RecordSync(Refused); err != nil {
		t.Fatal(err)
	}
	got := receive(t, conn)
	for _, field := range []string{"MESSAGE={\"time\":", "\nPRIORITY=5\n", "\nREMOTEDBG_EVENT=refused\n", "\nSYSLOG_IDENTIFIER=remotedbg\n"} {
		if !strings.Contains(got, field) {
			t.Errorf("no %q in %q", field, got)
		}
	}
	// The journal ends: an error. It is started anew: the next line gets there.
	conn.Close()
	_ = os.Remove(path)
	if err := l.RecordSync(Command); err == nil {
		t.Error("nobody listens, and the line counts as written")
	}
	again, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := l.RecordSync(Command); err != nil {
		t.Errorf("the journal is back: %v", err)
	}
	if first := receive(t, again); !strings.Contains(first, "audit.lost") {
		t.Errorf("the lost line is not told of: %q", first)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := openJournal(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a journal that is not there was opened")
	}
}

func TestSyslog(t *testing.T) {
	path, conn := listenDatagram(t)
	s, err := openSyslog(path)
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, Config{sink: s})
	if err := l.RecordSync(SessionOpened); err != nil {
		t.Fatal(err)
	}
	// RFC 3164: facility authpriv (10) * 8 + notice (5).
	if got := receive(t, conn); !strings.HasPrefix(got, "<85>") || !strings.Contains(got, `"event":"session.opened"`) {
		t.Errorf("%q", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := openSyslog(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a syslog that is not there was opened")
	}
}
