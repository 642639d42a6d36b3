//go:build linux

// Package vmem reads and writes the memory of another process without stopping
// it, with process_vm_readv(2) and process_vm_writev(2).
//
// It owns nothing but the process id: no goroutines, no descriptors. It must
// not know what the memory means. Every method may be called from any
// goroutine; what a read returns is as consistent as the target leaves it,
// since the target runs meanwhile.
package vmem

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Process is a process whose memory is read and written while it runs.
type Process struct {
	PID int
}

// ReadMemory fills buf from addr. A range that is only partly mapped is an
// error, as Delve's MemoryReader contract wants it.
func (p Process) ReadMemory(buf []byte, addr uint64) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	local := []unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMReadv(p.PID, local, remote, 0)
	return checkCount("read", addr, n, len(buf), err)
}

// WriteMemory writes data at addr. Unlike PTRACE_POKEDATA it respects page
// protection: program text cannot be changed through it, which is what keeps
// the text identical to the ELF file.
func (p Process) WriteMemory(addr uint64, data []byte) (int, error) {
	if len(data) == 0 {
		return 0, nil
	}
	local := []unix.Iovec{{Base: &data[0], Len: uint64(len(data))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(data)}}
	n, err := unix.ProcessVMWritev(p.PID, local, remote, 0)
	return checkCount("write", addr, n, len(data), err)
}

func checkCount(what string, addr uint64, n, want int, err error) (int, error) {
	if err != nil {
		return max(n, 0), fmt.Errorf("%s %d bytes at %#x: %w", what, want, addr, err)
	}
	if n != want {
		return n, fmt.Errorf("%s %d bytes at %#x: only %d are mapped: %w", what, want, addr, n, unix.EFAULT)
	}
	return n, nil
}

// Uint64 reads a little-endian 64-bit word.
func (p Process) Uint64(addr uint64) (uint64, error) {
	var b [8]byte
	_, err := p.ReadMemory(b[:], addr)
	return binary.LittleEndian.Uint64(b[:]), err
}

// PutUint64 writes a little-endian 64-bit word.
func (p Process) PutUint64(addr, v uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	_, err := p.WriteMemory(addr, b[:])
	return err
}

// Uint32 reads a little-endian 32-bit word.
func (p Process) Uint32(addr uint64) (uint32, error) {
	var b [4]byte
	_, err := p.ReadMemory(b[:], addr)
	return binary.LittleEndian.Uint32(b[:]), err
}

// PutUint32 writes a little-endian 32-bit word.
func (p Process) PutUint32(addr uint64, v uint32) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], v)
	_, err := p.WriteMemory(addr, b[:])
	return err
}

// maxVectors is UIO_MAXIOV: the most ranges that one call reads.
const maxVectors = 1024

// ReadEach reads size bytes at offset behind each of addrs, one after the other
// into the result, with one system call for a thousand of them.
func (p Process) ReadEach(addrs []uint64, offset uint64, size int) ([]byte, error) {
	buf := make([]byte, len(addrs)*size)
	remote := make([]unix.RemoteIovec, 0, min(len(addrs), maxVectors))
	for done := 0; done < len(addrs); {
		batch := addrs[done:min(done+maxVectors, len(addrs))]
		remote = remote[:0]
		for _, a := range batch {
			remote = append(remote, unix.RemoteIovec{Base: uintptr(a + offset), Len: size})
		}
		part := buf[done*size : (done+len(batch))*size]
		local := []unix.Iovec{{Base: &part[0], Len: uint64(len(part))}}
		n, err := unix.ProcessVMReadv(p.PID, local, remote, 0)
		if _, err := checkCount("read", batch[0], n, len(part), err); err != nil {
			return nil, err
		}
		done += len(batch)
	}
	return buf, nil
}
