//go:build linux && amd64

package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroups are the control groups of a process by controller; version 2 has the
// empty name (cgroups(7)).
type cgroups map[string]string

func parseCgroups(text string) cgroups {
	groups := make(cgroups)
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			groups[name] = parts[2]
		}
	}
	return groups
}

// memory is the group that counts the process's memory, and the file below the
// cgroup file systems that limits it.
func (c cgroups) memory() (path, limitFile string) {
	if path, ok := c["memory"]; ok {
		return path, filepath.Join("memory", path, "memory.limit_in_bytes")
	}
	return c[""], filepath.Join(c[""], "memory.max")
}

// engines are parts of a group's path that tell what made it.
var engines = []struct{ part, name string }{
	{"kubepods", "a Kubernetes pod"},
	{"docker", "a Docker container"},
	{"libpod", "a Podman container"},
	{"containerd", "a containerd container"},
	{"crio", "a CRI-O container"},
	{"lxc", "an LXC container"},
	{"machine.slice", "a systemd machine"},
	{".service", "a systemd service"},
}

func (c cgroups) describe() string {
	path, _ := c.memory()
	for _, e := range engines {
		if strings.Contains(path, e.part) {
			return fmt.Sprintf("%s (%s)", e.name, path)
		}
	}
	return path
}

// checkCgroup: in one group with the service, our memory counts against the
// service's limit.
func checkCgroup(s *subject) Result {
	var groups [2]cgroups
	for i, file := range []string{filepath.Join(s.proc, "self/cgroup"), s.targetFile("cgroup")} {
		text, err := os.ReadFile(file)
		if err != nil {
			return unknown(err)
		}
		groups[i] = parseCgroups(string(text))
	}
	ours, limitFile := groups[0].memory()
	theirs, _ := groups[1].memory()
	if ours != theirs {
		return pass("the service is in %s; we are in another", groups[1].describe())
	}
	limit := ""
	if word, err := readWord(filepath.Join(s.sys, limitFile)); err == nil {
		limit = word
	}
	return judgeSharedCgroup(groups[1].describe(), limit)
}

// noLimitV1 is what memory.limit_in_bytes says without a limit, at least: the
// largest multiple of the page size.
const noLimitV1 = 1 << 62

// judgeSharedCgroup looks at the limit file's word, empty if there is none.
func judgeSharedCgroup(group, limit string) Result {
	bytes, err := strconv.ParseUint(limit, 10, 64)
	if err != nil || bytes >= noLimitV1 {
		return pass("the service and we are in %s, which has no memory limit", group)
	}
	return warn(fmt.Sprintf("the service and we are in %s, whose memory is limited to %d MiB: the agent's symbols count against it", group, bytes>>20),
		"run remotedbg outside of the group: from the host, or with systemd-run --scope")
}
