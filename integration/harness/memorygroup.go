//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MemoryGroup is a control group that limits the memory of what is started in
// it: of version 1 or 2, whichever has the machine's memory controller (the
// kernel's admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst).
type MemoryGroup struct {
	dir     string
	version int
}

// NewMemoryGroup makes a group below the one that the tests run in, so that
// whatever holds for them holds for it. Remove removes it. An error says why this
// machine does not let us.
func NewMemoryGroup() (*MemoryGroup, error) {
	parent, version, err := memoryParent()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "remotedbg-faults-")
	if err != nil {
		return nil, fmt.Errorf("harness: no memory cgroup can be made: %w", err)
	}
	g := &MemoryGroup{dir: dir, version: version}
	// It need not be ours to limit, though it could be made.
	if err := g.Limit(1 << 40); err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return g, nil
}

// memoryParent finds the group to make another in.
func memoryParent() (dir string, version int, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", 0, fmt.Errorf("harness: %w", err)
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", 0, fmt.Errorf("harness: %w", err)
	}
	var reasons []string
	for line := range strings.Lines(string(groups)) {
		// cgroups(7): hierarchy:controllers:path; version 2 names no controllers.
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		switch {
		case hasWord(part[1], "memory"):
			if dir := groupDir(string(mounts), "cgroup", "memory", part[2]); dir != "" {
				return dir, 1, nil
			}
			reasons = append(reasons, "the version 1 hierarchy of the memory controller is not mounted")
		case part[0] == "0":
			dir, reason := parentV2(groupDir(string(mounts), "cgroup2", "", part[2]))
			if reason == "" {
				return dir, 2, nil
			}
			reasons = append(reasons, reason)
		}
	}
	return "", 0, fmt.Errorf("harness: no memory cgroup can be made: %s", strings.Join(reasons, "; "))
}

// parentV2 is own or the group above it. A group of version 2 with processes in it
// passes no controllers on, unless it is the root.
func parentV2(own string) (dir, reason string) {
	if own == "" {
		return "", "version 2 is not mounted"
	}
	for _, dir := range []string{own, filepath.Dir(own)} {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		if err == nil && hasWord(strings.ReplaceAll(strings.TrimSpace(string(text)), " ", ","), "memory") {
			return dir, ""
		}
	}
	return "", "the version 2 group of the tests and the one above it do not pass on the memory controller"
}

// groupDir is the directory of the group at path, "" if it is not mounted.
func groupDir(mounts, fstype, option, path string) string {
	for line := range strings.Lines(mounts) {
		// proc_pid_mountinfo(5): id parent dev root point options ... - type source options
		before, after, found := strings.Cut(line, " - ")
		front, back := strings.Fields(before), strings.Fields(after)
		if !found || len(front) < 5 || len(back) < 3 || back[0] != fstype || option != "" && !hasWord(back[2], option) {
			continue
		}
		root := strings.TrimSuffix(front[3], "/")
		if below, ok := strings.CutPrefix(path, root); ok {
			return filepath.Join(front[4], below)
		}
	}
	return ""
}

func hasWord(list, word string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if part == word {
			return true
		}
	}
	return false
}

// Start starts a program in the group; its children are in there, too.
func (g *MemoryGroup) Start(program string, args ...string) (*Process, error) {
	// The shell puts itself in and becomes the program.
	script := []string{"-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, g.dir, program}
	return Start("/bin/sh", append(script, args...)...)
}

// Limit sets how many bytes the group may use.
func (g *MemoryGroup) Limit(most int64) error {
	name := map[int]string{1: "memory.limit_in_bytes", 2: "memory.max"}[g.version]
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(strconv.FormatInt(most, 10)), 0); err != nil {
		return fmt.Errorf("harness: limit the memory of a cgroup: %w", err)
	}
	return nil
}

// Usage is how many bytes the group uses, those of files in memory included.
func (g *MemoryGroup) Usage() (int64, error) {
	name := map[int]string{1: "memory.usage_in_bytes", 2: "memory.current"}[g.version]
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// Killed is how many processes of the group the OOM killer has killed.
func (g *MemoryGroup) Killed() (int, error) {
	name := map[int]string{1: "memory.oom_control", 2: "memory.events"}[g.version]
	text, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return strconv.Atoi(strings.TrimSpace(n))
		}
	}
	return 0, fmt.Errorf("harness: %s counts no kills: the kernel is older than 4.13", name)
}

// Remove removes the group, once the last process in it has gone.
func (g *MemoryGroup) Remove() error {
	return Until(10*time.Second, "the cgroup is empty", func() error {
		err := os.Remove(g.dir)
		if errors.Is(err, syscall.ENOENT) {
			return nil
		}
		return err
	})
}
