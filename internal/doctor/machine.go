//go:build linux && amd64

package doctor

import (
	"debug/elf"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The oldest kernel whose perf events can signal their thread (commit
// 97ba62b27867, perf: Add support for SIGTRAP on perf events).
const (
	kernelMajor = 5
	kernelMinor = 13
)

func checkKernel(*subject) Result {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return unknown(err)
	}
	return judgeKernel(unix.ByteSliceToString(u.Release[:]))
}

func judgeKernel(release string) Result {
	major, minor, ok := parseRelease(release)
	switch {
	case !ok:
		return warn(fmt.Sprintf("not checked: kernel release %q is not a version", release),
			fmt.Sprintf("make sure that it is Linux %d.%d or newer; the line hw-breakpoint tells whether it can do what is needed", kernelMajor, kernelMinor))
	case major < kernelMajor, major == kernelMajor && minor < kernelMinor:
		return fail(fmt.Sprintf("Linux %s: its hardware breakpoints cannot signal their thread", release),
			fmt.Sprintf("use a host with Linux %d.%d or newer", kernelMajor, kernelMinor))
	}
	return pass("Linux %s; %d.%d or newer is needed", release, kernelMajor, kernelMinor)
}

// parseRelease reads the first two numbers of a kernel release.
func parseRelease(release string) (major, minor int, ok bool) {
	first, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest)
	return major, minor, err1 == nil && err2 == nil
}

func checkArchitecture(s *subject) Result {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return unknown(err)
	}
	machine := unix.ByteSliceToString(u.Machine[:])
	var file *elf.FileHeader
	if s.pid != 0 {
		exe, err := s.exe()
		if err != nil {
			return unknown(err)
		}
		file = &exe.header
	}
	return judgeArchitecture(machine, file)
}

// judgeArchitecture looks at the machine that uname(2) reports and the header
// of the service's executable, nil if there is none.
func judgeArchitecture(machine string, file *elf.FileHeader) Result {
	switch {
	case machine != "x86_64":
		// An amd64 agent runs here under emulation or as a 32-bit personality.
		return fail(fmt.Sprintf("the machine is %s", machine), "debug on a linux/amd64 host: other architectures are not supported yet")
	case file == nil:
		return pass("the machine is x86_64; the service's architecture is unknown without it")
	case file.Machine != elf.EM_X86_64 || file.Class != elf.ELFCLASS64:
		return fail(fmt.Sprintf("the service is a %s %s program", file.Class, file.Machine), "build the service with GOOS=linux GOARCH=amd64")
	}
	return pass("x86_64, and the service is built for it")
}
