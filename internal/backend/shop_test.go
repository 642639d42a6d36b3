//go:build linux && amd64

package backend

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

const shopDir = "../../integration/targets/shop"

// shop is a running example service with its symbols. Nothing is traced: the
// tests' requests are made up.
type shop struct {
	dir string
	cmd *exec.Cmd
	pid int
	img *board.Image
	bi  *proc.BinaryInfo

	brain sync.Mutex
}

// startShop starts the shop once for all tests, since its symbols take long to
// load; TestMain ends it.
var startShop = sync.OnceValues(func() (*shop, error) {
	dir, err := os.MkdirTemp("", "remotedbg-backend-")
	if err != nil {
		return nil, err
	}
	s := &shop{dir: dir}
	return s, s.start(filepath.Join(dir, "shop"))
})

func TestMain(m *testing.M) {
	code := m.Run()
	if s, _ := startShop(); s != nil {
		s.end()
	}
	os.Exit(code)
}

func (s *shop) start(exe string) error {
	// -buildvcs=false: the checkout may belong to another user.
	build := exec.Command("go", "build", "-buildvcs=false", "-o", exe, ".")
	build.Dir = shopDir
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	s.cmd = exec.Command(exe, "-addr", "127.0.0.1:0")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.pid = s.cmd.Process.Pid
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return err
	}
	if s.img, err = board.Locate(s.pid); err != nil {
		return err
	}
	s.bi = proc.NewBinaryInfo("linux", "amd64", false)
	return s.bi.LoadBinaryInfo(s.img.Path, s.img.Entry, nil)
}

func (s *shop) end() {
	if s.pid != 0 {
		_ = s.cmd.Process.Kill() // fails if it has ended
		_ = s.cmd.Wait()         // says that it was killed
	}
	_ = os.RemoveAll(s.dir) // a temporary folder
}

func theShop(t *testing.T) *shop {
	t.Helper()
	s, err := startShop()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shop) alive() bool { return !errors.Is(unix.Kill(s.pid, 0), unix.ESRCH) }

func (s *shop) config() Config {
	return Config{
		PID: s.pid, Path: s.img.Path, Entry: s.img.Entry,
		BinInfo: s.bi, Memory: vmem.Process{PID: s.pid}, Brain: &s.brain,
		Func: func(pc uint64) [2]uint64 {
			if fn := s.bi.PCToFunc(pc); fn != nil {
				return [2]uint64{fn.Entry, fn.End}
			}
			return [2]uint64{}
		},
	}
}

// code reads some of the service's text.
func (s *shop) code(t *testing.T, addr uint64) []byte {
	t.Helper()
	buf := make([]byte, 16)
	if _, err := (vmem.Process{PID: s.pid}).ReadMemory(buf, addr); err != nil {
		t.Fatal(err)
	}
	return buf
}

// line is where a line marked //bp:name begins.
func (s *shop) line(t *testing.T, name string) uint64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shopDir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if !strings.HasSuffix(line, "//bp:"+name) {
				continue
			}
			for _, source := range s.bi.Sources {
				if strings.HasSuffix(source, "/shop/"+filepath.Base(file)) {
					if pcs := s.bi.AllPCsForFileLines(source, []int{i + 1})[i+1]; len(pcs) > 0 {
						return pcs[0]
					}
				}
			}
		}
	}
	t.Fatalf("//bp:%s has no code", name)
	return 0
}
