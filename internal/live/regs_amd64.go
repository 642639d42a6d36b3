//go:build linux

package live

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Regs are the general purpose registers of a thread (user_regs_struct).
type Regs = unix.PtraceRegs

const (
	ntX86XState = 0x202 // NT_X86_XSTATE, include/uapi/linux/elf.h
	maxXState   = 16 << 10

	flagTF = 1 << 8  // trap: single-step
	flagDF = 1 << 10 // direction
	flagRF = 1 << 16 // resume: the next instruction does not trigger an execution breakpoint
)

func getRegs(tid int) (Regs, error) {
	var r Regs
	if err := unix.PtraceGetRegs(tid, &r); err != nil {
		return r, fmt.Errorf("PTRACE_GETREGS: %w", err)
	}
	return r, nil
}

// setRegs writes r.
func setRegs(tid int, r Regs) error {
	if err := unix.PtraceSetRegs(tid, &r); err != nil {
		return fmt.Errorf("PTRACE_SETREGS: %w", err)
	}
	return nil
}

// jump makes r go on at pc. Without a system call number in orig_rax the kernel
// does not take the stop for an interrupted system call, for which it would
// move RIP back (arch/x86 signal.c, arch_do_signal_or_restart).
func jump(r *Regs, pc uint64) {
	r.Rip = pc
	r.Orig_rax = ^uint64(0)
}

// getXState reads the XSAVE area: 2.7 KB with AVX-512, 11 KB with AMX.
func getXState(tid int) ([]byte, error) {
	buf := make([]byte, maxXState)
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(tid), ntX86XState, uintptr(unsafe.Pointer(&iov)), 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("PTRACE_GETREGSET: %w", errno)
	}
	if iov.Len == maxXState {
		return nil, fmt.Errorf("PTRACE_GETREGSET: the XSAVE area does not fit %d bytes", maxXState)
	}
	return buf[:iov.Len:iov.Len], nil
}

func setXState(tid int, buf []byte) error {
	iov := unix.Iovec{Base: &buf[0], Len: uint64(len(buf))}
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(tid), ntX86XState, uintptr(unsafe.Pointer(&iov)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("PTRACE_SETREGSET: %w", errno)
	}
	return nil
}
