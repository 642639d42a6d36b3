//go:build linux && amd64

package live

import (
	"cmp"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/vmem"
)

// BenchmarkArm is how long it takes to set that many uprobes in another process,
// and until the text is as it was when they are removed.
func BenchmarkArm(b *testing.B) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestNothing$")
	cmd.Env = append(os.Environ(), "LIVE_WAIT=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pid := cmd.Process.Pid
	file, err := elf.Open(os.Args[0])
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	syms, err := file.Symbols()
	if err != nil {
		b.Fatal(err)
	}
	section := file.Section(".text")
	text, err := section.Data()
	if err != nil {
		b.Fatal(err)
	}
	var all []ReturnSite
	bad, funcs := 0, 0
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value >= section.Addr && s.Value+s.Size <= section.Addr+section.Size {
			found, err := FindReturns(text[s.Value-section.Addr:][:s.Size], s.Value, 0, 0)
			if err != nil {
				bad++
			}
			funcs++
			all = append(all, found...)
		}
	}
	b.Logf("%d functions, %d not decoded, %d sites", funcs, bad, len(all))
	slices.SortFunc(all, func(a, b ReturnSite) int { return cmp.Compare(a.Addr, b.Addr) })
	time.Sleep(300 * time.Millisecond)
	for _, n := range []int{64, 500, 1000, 2000, 3000, 4000, 6000} {
		if n > len(all) {
			b.Fatalf("%d functions", len(all))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			u, err := newUprobe(pid, pid)
			if err != nil {
				b.Fatal(err)
			}
			defer u.close()
			var addrs []uint64
			for i := range n {
				addrs = append(addrs, all[i*len(all)/n].Addr)
			}
			mem := vmem.Process{PID: pid}
			var gone, set, closing time.Duration
			for b.Loop() {
				t0 := time.Now()
				offsets, err := fileOffsets(pid, addrs)
				if err != nil {
					b.Fatal(err)
				}
				l, err := u.arm(offsets, make([]uint64, n))
				if err != nil {
					b.Fatal(err)
				}
				set += time.Since(t0)
				b.StopTimer()
				begin := time.Now()
				done := make(chan struct{})
				go func() { _ = l.Close(); close(done) }()
				for i := 0; i < n; {
					var c [1]byte
					if _, err := mem.ReadMemory(c[:], addrs[i]); err != nil || c[0] != 0xcc {
						i++
					}
				}
				gone += time.Since(begin)
				<-done
				closing += time.Since(begin)
				b.StartTimer()
			}
			b.ReportMetric(float64(set.Microseconds())/1000/float64(b.N), "ms-set")
			b.ReportMetric(float64(gone.Microseconds())/1000/float64(b.N), "ms-gone")
			b.ReportMetric(float64(closing.Microseconds())/1000/float64(b.N), "ms-closed")
		})
	}
}

func TestNothing(t *testing.T) {
	if os.Getenv("LIVE_WAIT") != "" {
		_, _ = os.Stdin.Read(make([]byte, 1))
	}
}
