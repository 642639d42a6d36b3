//go:build linux && amd64

package live

import (
	"bufio"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/vmem"
)

// idle says that this is the process that BenchmarkArm sets uprobes in.
const idle = "REMOTEDBG_TEST_IDLE"

// TestIdle does nothing for as long as its standard input is open.
func TestIdle(t *testing.T) {
	if os.Getenv(idle) == "" {
		return
	}
	fmt.Println("idle")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// BenchmarkArm is how long it takes to set that many uprobes at returns in another
// process, and until its text is as it was when they are removed.
func BenchmarkArm(b *testing.B) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdle$")
	cmd.Env = append(os.Environ(), idle+"=1")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		b.Fatal("the other process does not start")
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }() // it may complain about what it was told
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Fatal(err)
	}
	all := returnsOf(b, os.Args[0])
	for _, n := range []int{64, 500, 1000, 2000, 3000, 4000, 6000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if n > len(all) {
				b.Fatalf("the program has %d", len(all))
			}
			addrs := make([]uint64, n)
			for i := range addrs {
				addrs[i] = all[i*len(all)/n]
			}
			armAndRemove(b, cmd.Process.Pid, addrs)
		})
	}
}

// returnsOf lists the returns of all functions of a program.
func returnsOf(b *testing.B, exe string) (all []uint64) {
	b.Helper()
	file, err := elf.Open(exe)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	text := file.Section(".text")
	code, err1 := text.Data()
	lines, err2 := file.Section(".gopclntab").Data()
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, text.Addr))
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range table.Funcs {
		if f.Entry < text.Addr || f.End > text.Addr+uint64(len(code)) {
			continue
		}
		sites, err := FindReturns(code[f.Entry-text.Addr:f.End-text.Addr], f.Entry, 0, 0)
		if err != nil {
			continue // assembly with AVX-512
		}
		for _, s := range sites {
			all = append(all, s.Addr)
		}
	}
	return all
}

func armAndRemove(b *testing.B, pid int, addrs []uint64) {
	b.Helper()
	u, err := newUprobe(pid, pid)
	if err != nil {
		b.Fatal(err)
	}
	defer u.close()
	var set, gone time.Duration
	for b.Loop() {
		began := time.Now()
		offsets, err := fileOffsets(pid, addrs)
		if err != nil {
			b.Fatal(err)
		}
		l, err := u.arm(offsets, make([]uint64, len(addrs)))
		if err != nil {
			b.Fatal(err)
		}
		set += time.Since(began)
		began = time.Now()
		closed := make(chan error)
		go func() { closed <- l.Close() }()
		p := prober{proc: &Process{PID: pid, Mem: vmem.Process{PID: pid}}}
		for i := 0; i < len(addrs); {
			if p.gone(addrs[i]) {
				i++
			}
		}
		gone += time.Since(began)
		if err := <-closed; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(set.Microseconds())/1000/float64(b.N), "ms-set")
	b.ReportMetric(float64(gone.Microseconds())/1000/float64(b.N), "ms-gone")
}
