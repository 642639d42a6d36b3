package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/internal/door"
	"github.com/remotedbg/remotedbg/internal/forward"
)

// listAgents looks for the sockets of this user's agents, where door puts them.
func listAgents() ([]forward.AgentInfo, error) {
	listening, err := listeningSockets()
	if err != nil {
		return nil, err
	}
	return agentsIn(door.RuntimeDirs(), listening)
}

// agentsIn lists the sockets in dirs that somebody listens on. A directory that
// belongs to somebody else is left out: what is in it may be anything.
func agentsIn(dirs []string, listening map[string]bool) ([]forward.AgentInfo, error) {
	var list []forward.AgentInfo
	seen := map[string]bool{}
	for _, dir := range dirs {
		dir, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && (seen[dir] || !isOurs(dir)) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the agents: %w", err)
		}
		seen[dir] = true
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("list the agents: %w", err)
		}
		for _, entry := range entries {
			path := filepath.Join(dir, entry.Name())
			info, err := entry.Info()
			if err != nil || info.Mode().Type() != fs.ModeSocket || !listening[path] {
				continue // just removed, something else, or left by an agent that has died
			}
			if a, ok := agentOf(path, info); ok {
				list = append(list, a)
			}
		}
	}
	return list, nil
}

func isOurs(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// socketName is how an agent names its socket: by the pid of the service.
var socketName = regexp.MustCompile(`^(?:.*-)?([0-9]+)\.sock$`)

// agentOf reads what a socket tells: its name has the service's pid in it, and its
// time of modification is when the agent ends, if that is known.
func agentOf(path string, info fs.FileInfo) (forward.AgentInfo, bool) {
	match := socketName.FindStringSubmatch(filepath.Base(path))
	if match == nil {
		return forward.AgentInfo{}, false
	}
	pid, err := strconv.Atoi(match[1])
	if err != nil {
		return forward.AgentInfo{}, false
	}
	a := forward.AgentInfo{Socket: path, PID: pid}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
		a.Name = strings.TrimSpace(string(comm))
	}
	if ends := info.ModTime(); ends.After(time.Now()) {
		a.Expires = ends.Truncate(time.Second)
	}
	return a, true
}

// acceptsConnections is __SO_ACCEPTCON of linux/net.h in the column Flags.
const acceptsConnections = 1 << 16

// listeningSockets are the paths of the Unix sockets that somebody listens on
// (proc_pid_net(5)). To connect would be noted by the agent as somebody who said
// nothing.
func listeningSockets() (map[string]bool, error) {
	f, err := os.Open("/proc/self/net/unix")
	if err != nil {
		return nil, fmt.Errorf("list the agents: %w", err)
	}
	defer f.Close()
	paths := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// Num RefCount Protocol Flags Type St Inode Path; a path may have spaces.
		fields := strings.SplitN(lines.Text(), " ", 7)
		if len(fields) < 7 {
			continue
		}
		flags, err := strconv.ParseUint(fields[3], 16, 32)
		_, path, bound := strings.Cut(strings.TrimLeft(fields[6], " "), " ")
		if err == nil && bound && flags&acceptsConnections != 0 {
			paths[path] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list the agents: %w", err)
	}
	return paths, nil
}
