//go:build unix

package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// file is a file that grows. Others may rename it away (logrotate): the next line
// begins a new one.
type file struct {
	path string
	f    *os.File
	id   fileID
	torn bool // the last write ended in the middle of a line
}

type fileID struct{ dev, ino uint64 }

func openFile(path string) (sink, error) {
	if !filepath.IsAbs(path) {
		abs, err := filepath.Abs(path) // rotation looks it up again
		if err != nil {
			return nil, fmt.Errorf("remotedbg: audit: %w", err)
		}
		path = abs
	}
	f := &file{path: path}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("remotedbg: audit to %s: %w", path, err)
	}
	return f, nil
}

func (f *file) String() string { return f.path }

// open opens or makes the file, and refuses one that somebody else can write to or
// has laid there: lines would go where its owner wants them, or be changed later.
// O_NONBLOCK keeps a pipe without a reader from holding us up until it is refused.
func (f *file) open() error {
	const flags = unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Open(f.path, flags, 0o600)
	switch {
	case errors.Is(err, unix.ELOOP):
		return errors.New("it is a symbolic link; name the file itself")
	case err != nil:
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return err
	}
	if err := judge(st); err != nil {
		_ = unix.Close(fd)
		return err
	}
	if f.f != nil {
		_ = f.f.Close()
	}
	f.f, f.id, f.torn = os.NewFile(uintptr(fd), f.path), identify(st), false
	return f.syncFolder()
}

// judge says what is wrong with a file to append to.
func judge(st unix.Stat_t) error {
	switch uid := os.Geteuid(); {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("it is no regular file")
	case int(st.Uid) != uid:
		return fmt.Errorf("it belongs to uid %d and not to uid %d, which this agent runs as", st.Uid, uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("others may write to it (mode %04o): chmod go-w", st.Mode&0o777)
	case st.Nlink > 1:
		return errors.New("it has a second name (a hard link)")
	}
	return nil
}

func identify(st unix.Stat_t) fileID { return fileID{uint64(st.Dev), uint64(st.Ino)} }

// syncFolder makes the file's name outlive a crash.
func (f *file) syncFolder() error {
	dir, err := os.Open(filepath.Dir(f.path))
	if errors.Is(err, fs.ErrPermission) {
		return nil // a folder that may be entered and not listed: its file is there already
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // file systems without it
		return err
	}
	return nil
}

// write appends a line, to a new file if the name leads to another one by now.
func (f *file) write(line []byte) error {
	var st unix.Stat_t
	if err := unix.Lstat(f.path, &st); err != nil || identify(st) != f.id {
		if err := f.open(); err != nil {
			return err
		}
	}
	if f.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := f.f.Write(line)
	if err != nil && n > 0 {
		f.torn = true // what is there stays: the file is append-only
	}
	if err == nil {
		f.torn = false
	}
	return err
}

func (f *file) sync() error  { return f.f.Sync() }
func (f *file) close() error { return f.f.Close() }
