//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// status is a /proc/PID/status file, see proc_pid_status(5).
type status map[string]string

var errNoField = errors.New("no such field in /proc/PID/status")

func parseStatus(text string) status {
	s := make(status)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			s[name] = strings.TrimSpace(value)
		}
	}
	return s
}

// number reads a decimal field.
func (s status) number(field string) (int, error) {
	text, ok := s[field]
	if !ok {
		return 0, fmt.Errorf("%s: %w", field, errNoField)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s %q in /proc/PID/status: not a number", field, text)
	}
	return n, nil
}

// ids are the real, effective, saved and file system id of a Uid or Gid field.
type ids [4]int

const (
	idReal = iota
	idEffective
	idSaved
)

func (s status) ids(field string) (ids, error) {
	var all ids
	words := strings.Fields(s[field])
	if len(words) != len(all) {
		return all, fmt.Errorf("%s %q in /proc/PID/status: not four numbers", field, s[field])
	}
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 32)
		if err != nil {
			return all, fmt.Errorf("%s %q in /proc/PID/status: not four numbers", field, s[field])
		}
		all[i] = int(n)
	}
	return all, nil
}

// numbers reads a field of several decimals, as NSpid.
func (s status) numbers(field string) ([]int, error) {
	var all []int
	for _, w := range strings.Fields(s[field]) {
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil, fmt.Errorf("%s %q in /proc/PID/status: not numbers", field, s[field])
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: %w", field, errNoField)
	}
	return all, nil
}

// Bits of the capabilities that debugging is about, include/uapi/linux/capability.h.
const (
	capKill      = 5
	capSysPtrace = 19
	capSysAdmin  = 21
	capPerfmon   = 38
	capBPF       = 39
)

// capNames are the kernel's names by bit, for telling what a service holds.
var capNames = []string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
	"linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
	"sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
	"sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
	"mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
	"checkpoint_restore",
}

// capSet is a set of capabilities, a bit each.
type capSet uint64

func (s status) caps(field string) (capSet, error) {
	text, ok := s[field]
	if !ok {
		return 0, fmt.Errorf("%s: %w", field, errNoField)
	}
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%s %q in /proc/PID/status: not a hexadecimal number", field, text)
	}
	return capSet(n), nil
}

func (c capSet) has(bit int) bool { return c&(1<<bit) != 0 }

func (c capSet) String() string {
	var names []string
	for bit := range 64 {
		switch {
		case !c.has(bit):
		case bit < len(capNames):
			names = append(names, "CAP_"+strings.ToUpper(capNames[bit]))
		default:
			names = append(names, fmt.Sprintf("capability %d", bit))
		}
	}
	const most = 6 // root's are 41
	switch n := len(names); {
	case n == 0:
		return "none"
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}
