//go:build linux

package vmem_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"math"
	"os"
	"os/exec"
	"reflect"
	"testing"
	"unsafe"

	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

// self is this process: the kernel takes the same way to it as to another one.
var self = vmem.Process{PID: os.Getpid()}

// mapPages maps pages of memory that the garbage collector does not know.
func mapPages(t *testing.T, pages, prot int) (mem []byte, addr uint64) {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, pages*os.Getpagesize(), prot, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			t.Error(err)
		}
	})
	return mem, uint64(uintptr(unsafe.Pointer(&mem[0])))
}

func TestRoundTrip(t *testing.T) {
	mem, addr := mapPages(t, 3, unix.PROT_READ|unix.PROT_WRITE)
	page := os.Getpagesize()
	for _, c := range []struct {
		name         string
		offset, size int
	}{
		{"one byte", 5, 1},
		{"unaligned", 3, 1001},
		{"across a page border", page - 7, 19},
		{"all", 0, 3 * page},
		{"nothing", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			clear(mem)
			data := make([]byte, c.size)
			for i := range data {
				data[i] = byte(i%250) + 1
			}
			at := addr + uint64(c.offset)
			if n, err := self.WriteMemory(at, data); n != c.size || err != nil {
				t.Fatalf("WriteMemory = %d, %v", n, err)
			}
			want := make([]byte, len(mem))
			copy(want[c.offset:], data)
			if !bytes.Equal(mem, want) {
				t.Error("memory is not what was written, or more than that was written")
			}
			got := make([]byte, c.size)
			if n, err := self.ReadMemory(got, at); n != c.size || err != nil {
				t.Fatalf("ReadMemory = %d, %v", n, err)
			}
			if !bytes.Equal(got, data) {
				t.Error("read something else than was written")
			}
		})
	}
}

func TestWords(t *testing.T) {
	mem, addr := mapPages(t, 1, unix.PROT_READ|unix.PROT_WRITE)
	if err := self.PutUint64(addr, 0x0102_0304_0506_0708); err != nil {
		t.Fatal(err)
	}
	if err := self.PutUint32(addr+8, 0xfffe_fdfc); err != nil {
		t.Fatal(err)
	}
	if want := []byte{8, 7, 6, 5, 4, 3, 2, 1, 0xfc, 0xfd, 0xfe, 0xff, 0}; !bytes.Equal(mem[:13], want) {
		t.Errorf("memory = %x, want %x (little endian)", mem[:13], want)
	}
	if v, err := self.Uint64(addr); v != 0x0102_0304_0506_0708 || err != nil {
		t.Errorf("Uint64 = %#x, %v", v, err)
	}
	if v, err := self.Uint32(addr + 8); v != 0xfffe_fdfc || err != nil {
		t.Errorf("Uint32 = %#x, %v", v, err)
	}
}

func TestUnmapped(t *testing.T) {
	page := os.Getpagesize()
	mem, addr := mapPages(t, 2, unix.PROT_READ|unix.PROT_WRITE)
	// The second page becomes inaccessible, and stays ours: nothing else can
	// be mapped there meanwhile.
	if err := unix.Mprotect(mem[page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		addr  uint64
		size  int
		count int // what can be read
	}{
		{"address zero", 0, 8, 0},
		{"not canonical", 1 << 60, 8, 0},
		{"end of the address space", math.MaxUint64 - 3, 8, 0},
		{"inaccessible page", addr + uint64(page), 8, 0},
		{"partly mapped", addr + uint64(page) - 5, 12, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			buf := make([]byte, c.size)
			if n, err := self.ReadMemory(buf, c.addr); n != c.count || !errors.Is(err, unix.EFAULT) {
				t.Errorf("ReadMemory = %d, %v, want %d, EFAULT", n, err, c.count)
			}
			if n, err := self.WriteMemory(c.addr, buf); n != c.count || !errors.Is(err, unix.EFAULT) {
				t.Errorf("WriteMemory = %d, %v, want %d, EFAULT", n, err, c.count)
			}
		})
	}
	for name, err := range map[string]error{
		"Uint64":    errorOf(self.Uint64(addr + uint64(page) - 4)),
		"Uint32":    errorOf(self.Uint32(addr + uint64(page) - 2)),
		"PutUint64": self.PutUint64(addr+uint64(page)-4, 1),
		"PutUint32": self.PutUint32(addr+uint64(page)-2, 1),
	} {
		if !errors.Is(err, unix.EFAULT) {
			t.Errorf("%s on a partly mapped word: %v, want EFAULT", name, err)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

// child starts a program and ends it with the test.
func child(t *testing.T) vmem.Process {
	t.Helper()
	cmd := exec.Command("/bin/cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("cat: %v", err)
		}
	})
	// One round trip: the new program is loaded, not only started.
	echo := make([]byte, 1)
	if _, err := stdin.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(echo); err != nil {
		t.Fatal(err)
	}
	return vmem.Process{PID: cmd.Process.Pid}
}

// entryPoint is where the process's own program begins.
func entryPoint(t *testing.T, p vmem.Process) uint64 {
	t.Helper()
	auxv, err := auxVector(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	return auxv[9] // AT_ENTRY, getauxval(3)
}

// TestTextIsReadOnly is what keeps the text of a service identical to its
// executable: unlike ptrace(2), which the agent does not use for it,
// process_vm_writev respects the protection of pages.
func TestTextIsReadOnly(t *testing.T) {
	own := uint64(reflect.ValueOf(TestTextIsReadOnly).Pointer())
	other := child(t)
	for _, c := range []struct {
		name string
		p    vmem.Process
		addr uint64
	}{
		{"own text", self, own},
		{"text of a child", other, entryPoint(t, other)},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := make([]byte, 16)
			if _, err := c.p.ReadMemory(before, c.addr); err != nil {
				t.Fatal(err)
			}
			if n, err := c.p.WriteMemory(c.addr, []byte{0xcc}); n != 0 || !errors.Is(err, unix.EFAULT) {
				t.Errorf("WriteMemory = %d, %v, want 0, EFAULT", n, err)
			}
			if err := c.p.PutUint64(c.addr, 0xcccc_cccc_cccc_cccc); !errors.Is(err, unix.EFAULT) {
				t.Errorf("PutUint64: %v, want EFAULT", err)
			}
			after := make([]byte, 16)
			if _, err := c.p.ReadMemory(after, c.addr); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the text was %x and is %x (%v)", before, after, err)
			}
		})
	}
}

func TestReadOnlyPageOfAnyKind(t *testing.T) {
	_, addr := mapPages(t, 1, unix.PROT_READ)
	if err := self.PutUint32(addr, 1); !errors.Is(err, unix.EFAULT) {
		t.Errorf("PutUint32 on a read-only page: %v, want EFAULT", err)
	}
}

func TestOtherProcess(t *testing.T) {
	p := child(t)
	f, err := elf.Open("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bias := entryPoint(t, p) - f.Entry
	text := f.Section(".text")
	want, err := text.Data()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := p.ReadMemory(got, bias+text.Addr); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the text of the child is not that of its executable (%v)", err)
	}
	// .bss belongs to no file: writing there and back is harmless.
	word := bias + f.Section(".bss").Addr
	old, err := p.Uint64(word)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.PutUint64(word, ^old); err != nil {
		t.Fatal(err)
	}
	if now, err := p.Uint64(word); now != ^old || err != nil {
		t.Errorf("the child has %#x, %v, after %#x was written", now, err, ^old)
	}
	if err := p.PutUint64(word, old); err != nil {
		t.Fatal(err)
	}
}

func TestNoSuchProcess(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	p := vmem.Process{PID: cmd.Process.Pid}
	if _, err := p.Uint32(4096); !errors.Is(err, unix.ESRCH) {
		t.Errorf("Uint32: %v, want ESRCH", err)
	}
	if err := p.PutUint32(4096, 1); !errors.Is(err, unix.ESRCH) {
		t.Errorf("PutUint32: %v, want ESRCH", err)
	}
}
