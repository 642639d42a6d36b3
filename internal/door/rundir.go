//go:build linux

package door

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Modes of the runtime directory. With the second somebody who knows a socket's
// name can reach it, and its mode decides; the names cannot be listed.
const (
	dirPrivate = 0o700
	dirPassage = 0o711
)

// RuntimeDir makes and checks the directory for the sockets of this user's agents.
// It is the first of these that can be had:
//
//	/run/remotedbg               root only
//	$XDG_RUNTIME_DIR/remotedbg   XDG Base Directory Specification
//	/run/user/UID/remotedbg      the same, where the variable was lost
//	$TMPDIR/remotedbg-UID        TMPDIR or /tmp
//
// It belongs to this user, nobody else can write to it or list it, it is no symbolic
// link, and nobody else can replace it. With passage, another user may be let through
// to a socket. The error says what is wrong with each of them.
func RuntimeDir(passage bool) (string, error) {
	uid := os.Geteuid()
	var errs []error
	for _, dir := range runtimeDirs(uid, os.Getenv("XDG_RUNTIME_DIR"), os.TempDir()) {
		dir, err := privateDir(dir, uid, passage)
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("remotedbg: no directory for the socket: %w", errors.Join(errs...))
}

// RuntimeDirs are the directories of which RuntimeDir takes the first that can be
// had. It makes and checks none of them.
func RuntimeDirs() []string {
	return runtimeDirs(os.Geteuid(), os.Getenv("XDG_RUNTIME_DIR"), os.TempDir())
}

func runtimeDirs(uid int, xdg, tmp string) []string {
	var dirs []string
	if uid == 0 {
		dirs = append(dirs, "/run/remotedbg")
	}
	if filepath.IsAbs(xdg) {
		dirs = append(dirs, filepath.Join(xdg, "remotedbg"))
	}
	dirs = append(dirs, filepath.Join("/run/user", strconv.Itoa(uid), "remotedbg"))
	return append(dirs, filepath.Join(tmp, fmt.Sprintf("remotedbg-%d", uid)))
}

// privateDir makes dir unless it exists, and checks it. It returns its path
// without symbolic links.
func privateDir(dir string, uid int, passage bool) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return "", err
	}
	dir = filepath.Join(parent, filepath.Base(dir))
	if err := irreplaceable(parent, uid); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, dirPrivate); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	// From here on by the open directory: what is checked is what is changed.
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", fmt.Errorf("%s is not a directory of this user's: %w", dir, err)
	}
	defer d.Close()
	info, err := d.Stat()
	if err != nil {
		return "", err
	}
	if owner := ownerOf(info); owner != uid {
		return "", fmt.Errorf("%s belongs to uid %d, not to %d", dir, owner, uid)
	}
	mode := info.Mode().Perm()
	if mode&0o066 != 0 {
		return "", fmt.Errorf("%s has the mode %#o: others can use it", dir, mode)
	}
	want := mode | dirPrivate
	if passage {
		want |= dirPassage
	}
	// Only ever wider: another agent may need it.
	if mode != want {
		if err := d.Chmod(want); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// irreplaceable checks that nobody but root and uid can put something else in the
// place of a directory in dir: not in dir itself, nor further up. Where everybody may
// write, the sticky bit keeps them from what is not theirs (inode(7)).
func irreplaceable(dir string, uid int) error {
	for {
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if owner := ownerOf(info); owner != uid && owner != 0 {
			return fmt.Errorf("%s belongs to uid %d", dir, owner)
		}
		if info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
			return fmt.Errorf("%s can be written by others", dir)
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil
		}
		dir = up
	}
}

func ownerOf(info os.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
