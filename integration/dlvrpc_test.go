//go:build linux && amd64

package integration_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/dlvrpc"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// stockDlv is the dlv that everybody has.
const stockDlv = "github.com/go-delve/delve/cmd/dlv@v1.27.2"

// person is somebody at a `dlv connect`.
type person struct {
	t *testing.T
	*dlvrpc.Terminal
}

// connect starts the stock dlv at an agent.
func connect(t *testing.T, a *harness.Agent) *person {
	t.Helper()
	dlv, err := builder.Module(stockDlv)
	must(t, err)
	term, err := dlvrpc.Connect(dlv, a.Addr, t.TempDir())
	must(t, err)
	t.Cleanup(func() {
		term.Kill()
		if t.Failed() {
			t.Logf("dlv printed:\n%s", term.Transcript())
		}
	})
	return &person{t, term}
}

// types a command; each of want must match what dlv prints.
func (p *person) types(line string, want ...string) string {
	p.t.Helper()
	out, err := p.Type(line)
	must(p.t, err)
	p.reads(line, out, want...)
	return out
}

// runs types a command that resumes, and sends a request once it has.
func (p *person) runs(line string, request func(), want ...string) {
	p.t.Helper()
	must(p.t, p.Send(line))
	request()
	out, err := p.Await("(dlv) ")
	must(p.t, err)
	p.reads(line, out, want...)
}

func (p *person) reads(line, out string, want ...string) {
	p.t.Helper()
	for _, w := range want {
		if !regexp.MustCompile(w).MatchString(out) {
			p.t.Errorf("%s: dlv printed %q, which does not match %s", line, out, w)
		}
	}
}

// at is how dlv shows that it stands at a mark.
func at(t *testing.T, name string) string {
	m := mark(t, name)
	return fmt.Sprintf(`/%s:%d \(`, regexp.QuoteMeta(filepath.Base(m.File)), m.Line)
}

// TestDlvConnect is a whole session with the stock dlv.
func TestDlvConnect(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.Variant{})
	a := r.attach("--role", "mutate")
	dlv := connect(t, a)

	dlv.types("sources handlers.go$", `shop/handlers\.go`)
	dlv.types("funcs ^main.*order$", `main\.\(\*api\)\.order`)
	dlv.types("types main.Order$", `main\.Order`)
	dlv.types("print main.ErrBadID", `bad|id`) // with nothing stopped
	dlv.types("locals", `no request is stopped`)
	dlv.types("next", `no request is stopped: continue waits`)

	price := mark(t, "order-price")
	dlv.types(fmt.Sprintf("break priced %s:%d", price.File, price.Line), `Breakpoint priced set at`)
	dlv.types("condition priced order.ID == 7")
	dlv.types("breakpoints", `cond order.ID == 7`)

	var p *pending
	dlv.runs("continue", func() {
		r.await(a, "/orders/3") // passes: its id is another
		p = r.request("/orders/7")
	}, at(t, "order-price"), `=>`, `total:1`)
	p.held(t)

	dlv.types("print order.Customer.Name", `"Edsger"`)
	dlv.types("print len(order.Items) + 1", `4`)
	dlv.types("locals", `label = "order-7"`)
	dlv.types("args", `r = \("\*net/http\.Request"\)`)
	dlv.types("stack", `main\.\(\*api\)\.order`, `ServeHTTP`)
	dlv.types("frame 1 args")
	dlv.types("goroutines", `\* Goroutine \d+ .*main\.\(\*api\)\.order`, `Goroutine 1 .*serve\.Run`)
	dlv.types("goroutine 1 stack", `main\.main`)
	dlv.types("threads", `\* Thread \d+ .*order`)
	dlv.types("regs", `Rip = 0x`)
	dlv.types("disassemble", `=>\s+handlers\.go:\d+`, `CALL|call`)
	dlv.types("set order.Items[1].Quantity = 13")
	dlv.types("print order.Items[1].Quantity", `13`)
	dlv.types("set attempts = 5") // a register, or memory: never harm
	dlv.types("call a.service.Price(order)", `returned`, `Total`)
	dlv.types("restart", `refused|process has exited`)
	dlv.types("watch -w order.ID", `Watchpoint \S+ set at|order\.ID`)
	r.serving(100)

	dlv.types("step", `\(\*service\)\.Price`)
	dlv.types("stepout", `main\.\(\*api\)\.order`, `Values returned`)
	dlv.types("next", at(t, "order-priced"))
	dlv.types("step-instruction", `main\.\(\*api\)\.order|=>`)
	p.held(t)

	// The request goes on, and ctrl-C brings the prompt back.
	must(t, dlv.Send("continue"))
	p.ok(t)
	must(t, dlv.Interrupt())
	_, err := dlv.Await("[p/q]? ")
	must(t, err)
	dlv.types("p", `no request is stopped`)

	dlv.types("clear priced", `cleared`)
	dlv.types("trace main.(*service).Price", `Tracepoint`)
	must(t, dlv.Send("continue"))
	r.await(a, "/orders/7")
	_, err = dlv.Await("main.(*service).Price")
	must(t, err)
	must(t, dlv.Interrupt())
	_, err = dlv.Await("[p/q]? ")
	must(t, err)
	dlv.types("p")
	dlv.types("clearall")

	dlv.leaves("y", "n")
	if !a.Running() {
		t.Error("the agent ended with its client")
	}
	r.request("/orders/7").ok(t)
}

// leaves exits, with these answers to whether to kill the server, and the
// process.
func (p *person) leaves(server, process string) {
	p.t.Helper()
	must(p.t, p.Send("exit"))
	_, err := p.Await("kill the headless instance? [Y/n] ")
	must(p.t, err)
	must(p.t, p.Send(server))
	if server == "y" {
		_, err := p.Await("kill the process? [Y/n] ")
		must(p.t, err)
		must(p.t, p.Send(process))
	}
	code, err := p.Wait()
	must(p.t, err)
	if want := map[bool]int{false: 0, true: 1}[process == "y"]; code != want {
		p.t.Errorf("dlv exited with %d, want %d", code, want)
	}
}

// await sends requests until one was taken by the agent: the client's `continue`
// may not have got there.
func (r *rig) await(a *harness.Agent, path string) {
	r.t.Helper()
	must(r.t, harness.Until(10*time.Second, "a request is debugged", func() error {
		before := strings.Count(a.Stderr.String(), "released after")
		r.request(path).ok(r.t)
		for range 20 {
			if strings.Count(a.Stderr.String(), "released after") > before {
				return nil
			}
			<-time.After(5 * time.Millisecond)
		}
		return fmt.Errorf("it was not")
	}))
}

// stoppedInDlv has a request stopped for somebody at a `dlv connect`.
func stoppedInDlv(t *testing.T) (*person, *pending) {
	t.Helper()
	r := newRig(t, harness.Variant{})
	a := r.attach()
	dlv := connect(t, a)
	loaded := mark(t, "order-loaded")
	dlv.types(fmt.Sprintf("break %s:%d", loaded.File, loaded.Line))
	var p *pending
	dlv.runs("continue", func() {
		r.await(a, "/healthz")
		p = r.request("/orders/7")
	}, at(t, "order-loaded"))
	return dlv, p
}

// TestDlvConnectKill: the process is not killed, whatever the client says.
func TestDlvConnectKill(t *testing.T) {
	t.Parallel()
	dlv, p := stoppedInDlv(t)
	dlv.leaves("y", "y")
	if !strings.Contains(dlv.Transcript(), "kill is refused") {
		t.Errorf("dlv was not told: %s", dlv.Transcript())
	}
	p.ok(t) // its connection has ended
}

// TestDlvConnectDies: the request goes on.
func TestDlvConnectDies(t *testing.T) {
	t.Parallel()
	dlv, p := stoppedInDlv(t)
	p.held(t)
	began := time.Now()
	dlv.Kill()
	p.ok(t)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the request went on %v after its client had died", took)
	}
}
