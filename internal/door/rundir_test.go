//go:build linux

package door

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestRuntimeDirs(t *testing.T) {
	got := runtimeDirs(0, "/x", "/tmp")
	if want := []string{"/run/remotedbg", "/x/remotedbg", "/run/user/0/remotedbg", "/tmp/remotedbg-0"}; !slices.Equal(got, want) {
		t.Errorf("root's are %q", got)
	}
	got = runtimeDirs(1000, "relative", "/tmp")
	if want := []string{"/run/user/1000/remotedbg", "/tmp/remotedbg-1000"}; !slices.Equal(got, want) {
		t.Errorf("a user's are %q", got)
	}
}

// base is a directory whose parents are as they should be.
func base(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "door")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestPrivateDir(t *testing.T) {
	us := os.Geteuid()
	dir := filepath.Join(base(t), "remotedbg")
	for _, passage := range []bool{false, false, true, false} {
		got, err := privateDir(dir, us, passage)
		if err != nil || got != dir {
			t.Fatalf("%s, %v", got, err)
		}
	}
	// It was made private, and stays passable once it was.
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != dirPassage {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	private := filepath.Join(base(t), "remotedbg")
	if _, err := privateDir(private, us, false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(private); err != nil || info.Mode().Perm() != dirPrivate {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

func TestPrivateDirRefusals(t *testing.T) {
	us := os.Geteuid()
	for _, tt := range []struct {
		name string
		make func(t *testing.T, dir string) // dir is to be refused; its parent exists
		want string
	}{
		{"a symbolic link", func(t *testing.T, dir string) { must(t, os.Symlink(base(t), dir)) }, "not a directory"},
		{"a file", func(t *testing.T, dir string) { must(t, os.WriteFile(dir, nil, 0o600)) }, "not a directory"},
		{"another user's", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chown(dir, strangerUID, strangerUID))
		}, "belongs to uid 54321"},
		{"one that others can list", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chmod(dir, 0o755))
		}, "others can use it"},
		{"one that others can write", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.Chmod(dir, 0o720))
		}, "others can use it"},
		{"a parent that others can write", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Dir(dir), 0o777)) }, "can be written by others"},
		{"a parent of another user", func(t *testing.T, dir string) {
			must(t, os.Chown(filepath.Dir(dir), strangerUID, -1))
		}, "belongs to uid 54321"},
		{"no parent", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Dir(dir))) }, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(base(t), "remotedbg")
			tt.make(t, dir)
			if _, err := privateDir(dir, us, false); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestStickyParent is /tmp: everybody may write, and nobody may replace what is not
// theirs.
func TestStickyParent(t *testing.T) {
	parent := base(t)
	must(t, os.Chmod(parent, 0o777|os.ModeSticky))
	if _, err := privateDir(filepath.Join(parent, "remotedbg-0"), os.Geteuid(), false); err != nil {
		t.Error(err)
	}
}

// TestStaleSockets: those of dead agents are replaced and removed, those of living
// ones and what is no socket stay.
func TestStaleSockets(t *testing.T) {
	dir := base(t)
	left := func(name string) string {
		path := filepath.Join(dir, name)
		ln, err := net.Listen("unix", path)
		must(t, err)
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		must(t, ln.Close())
		return path
	}
	dead, mine := left("1.sock"), left("2.sock")
	living := filepath.Join(dir, "3.sock")
	ln, err := ListenUnix(living, everybody)
	open(t, ln, err)
	file := filepath.Join(dir, "4.sock")
	must(t, os.WriteFile(file, nil, 0o600))

	ln, err = ListenUnix(mine, everybody)
	h := open(t, ln, err)
	if !greeted(h.dial()) {
		t.Error("the socket that replaces a dead one is not listened on")
	}
	if _, err := ListenUnix(living, everybody); !errors.Is(err, ErrTaken) {
		t.Errorf("two agents at one socket: %v", err)
	}
	if _, err := ListenUnix(file, everybody); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("a file was replaced: %v", err)
	}
	RemoveStale(dir)
	for path, want := range map[string]bool{dead: false, mine: true, living: true, file: true} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s is there: %t", filepath.Base(path), err == nil)
		}
	}
	if _, err := ListenUnix(filepath.Join(dir, strings.Repeat("x", 120)), everybody); err == nil || !strings.Contains(err.Error(), "107 bytes") {
		t.Errorf("a long path: %v", err)
	}
}
