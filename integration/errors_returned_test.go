//go:build linux && amd64

package integration_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// atReturns is the target returned with an IDE that has filters on.
func atReturns(t *testing.T, filters ...dap.ExceptionFilterOptions) *panicRig {
	t.Helper()
	r := returnsRig(t)
	for i, bp := range r.filter(filters...) {
		if !bp.Verified {
			t.Fatalf("filter %+v is not verified: %s", filters[i], bp.Message)
		}
	}
	return r
}

// returnsRig is the target returned with an IDE and without filters.
func returnsRig(t *testing.T, args ...string) *panicRig {
	t.Helper()
	binary, err := builder.Target("returned")
	must(t, err)
	marks, err := harness.Marks(filepath.Join(builder.Root, "integration", "targets", "returned"))
	must(t, err)
	r := &panicRig{rig: rigOf(t, binary), marks: marks}
	r.Client = r.dial(r.attach(args...))
	must(t, r.SessionWith(nil, ""))
	return r
}

// TestReturnedErrors: a request stops once for each error, in the function of its
// own program that returns it first, and answers as if there had been no debugger.
// Others run through the same code, and while it is stopped the service's text is
// as it was.
func TestReturnedErrors(t *testing.T) {
	t.Parallel()
	r := atReturns(t, filter("returned", ""))
	for _, c := range []struct {
		path, mark, fn string
		text, typ      string
		expr, value    string // in the function
	}{
		{"/wrapped?v=x", "find", "main.find", `{ID: "x"`, "*main.notFound", "v", `"x"`},
		{"/library?v=x", "library", "main.library", "invalid syntax", "*strconv.NumError", "", ""},
		{"/variable?v=x", "variable", "main.first", "empty", "*errors.errorString", "", ""},
		{"/many?v=x", "many", "main.results", `ID: "many x"`, "*main.notFound", "w.A", "1"},
		{"/method?v=x", "method", "main.(*store).find", `ID: "mx"`, "*main.notFound", "", ""},
		{"/closure?v=x", "closure", "main.closure.func1", `ID: "x"`, "*main.notFound", "", ""},
		{"/generic?v=x", "generic", "main.pick[go.shape.string]", "x: empty", "*fmt.wrapError", "", ""},
		{"/deferred?v=x", "deferred", "main.closing", `ID: "deferred x"`, "*main.notFound", "", ""},
		{"/wrapped?v=", "", "", "", "", "", ""},
	} {
		p := r.send("POST", c.path, nil)
		if c.mark != "" {
			th := r.exception("returned error: ", c.mark)
			if top := th.top(); top.Func != c.fn {
				t.Errorf("%s: %s is on top, want %s", c.path, top.Func, c.fn)
			}
			p.held(t)
			info := r.info(th)
			if info.ExceptionId != "returned error" || info.Details == nil || info.Details.FullTypeName != c.typ || !strings.Contains(info.Details.Message, c.text) {
				t.Errorf("%s: %+v, %+v", c.path, info, info.Details)
			} else if v, err := r.Evaluate(info.Details.EvaluateName, th.top().ID, "watch"); err != nil || !strings.Contains(v.Result, strings.TrimPrefix(c.typ, "*")) {
				t.Errorf("%s: %s is %+v, %v", c.path, info.Details.EvaluateName, v, err)
			}
			if vars, err := r.Locals(th.id); err != nil || !strings.Contains(vars["(returned error)"].Value, strings.TrimPrefix(c.typ, "*")) {
				t.Errorf("%s: the variables are %+v, %v", c.path, vars, err)
			}
			if c.expr != "" {
				v, err := r.Evaluate(c.expr, th.top().ID, "watch")
				if err != nil || v.Result != c.value {
					t.Errorf("%s: %s is %q, %v", c.path, c.expr, v.Result, err)
				}
			}
			must(t, harness.Until(5*time.Second, "frozen, it has no uprobe", func() error { return harness.TextIntact(r.service.PID) }))
			r.sameAsUndebugged(c.path, r.others.Send(t.Context(), "POST", c.path, nil))
			th.resume()
		}
		r.sameAsUndebugged(c.path, p.wait(t))
	}
}

// TestReturnedErrorChain: what an error wraps is shown where it is returned.
func TestReturnedErrorChain(t *testing.T) {
	t.Parallel()
	r := atReturns(t, filter("returned", `errType == "*fmt.wrapError"`))
	p := r.send("POST", "/generic?v=x", nil)
	th := r.exception("returned error: x: empty", "generic")
	d := r.info(th).Details
	if len(d.InnerException) != 1 || d.InnerException[0].FullTypeName != "*errors.errorString" || d.InnerException[0].Message != "empty" {
		t.Errorf("%+v", d)
	}
	th.resume()
	p.wait(t)
}

// TestReturnedErrorConditions: expressions and regular expressions, and what is
// wrong with one.
func TestReturnedErrorConditions(t *testing.T) {
	t.Parallel()
	r := atReturns(t)
	for condition, mark := range map[string]string{
		`errType == "*strconv.NumError"`: "library",
		`/invalid syntax/`:               "library",
		`errText == "empty"`:             "variable",
		`errType == "*main.notFound" && err.(*main.notFound).ID == "many x"`: "many",
	} {
		if bps := r.filter(filter("returned", condition)); !bps[0].Verified {
			t.Fatalf("%s: %s", condition, bps[0].Message)
		}
		for path, at := range map[string]string{"/library?v=x": "library", "/variable?v=x": "variable", "/many?v=x": "many"} {
			if strings.Contains(condition, ".(") && at != mark {
				continue // another type is an error, at which a request stops
			}
			p := r.send("POST", path, nil)
			if at == mark {
				r.exception("returned error: ", mark).resume()
			}
			r.sameAsUndebugged(path, p.wait(t))
		}
	}
	if bps := r.filter(filter("returned", "1 +")); bps[0].Verified || bps[0].Message == "" {
		t.Errorf("%+v", bps[0])
	}
}

// TestReturnedErrorsWithoutUprobes: the filter says that it is not armed, and why.
func TestReturnedErrorsWithoutUprobes(t *testing.T) {
	t.Parallel()
	r := returnsRig(t, "--extra-breakpoints", "off")
	if bps := r.filter(filter("returned", "")); bps[0].Verified || !strings.Contains(bps[0].Message, "--extra-breakpoints=off") {
		t.Errorf("%+v", bps[0])
	}
	p := r.send("POST", "/wrapped?v=x", nil)
	r.sameAsUndebugged("/wrapped?v=x", p.wait(t))
}

// TestReturnedErrorsInNumbers: a request that returns errors without end is not
// held up for long, and the console says that it is not asked for more.
func TestReturnedErrorsInNumbers(t *testing.T) {
	t.Parallel()
	r := atReturns(t, filter("returned", `errText == "never"`))
	p := r.send("POST", "/hot?v=3000", nil)
	r.sameAsUndebugged("/hot?v=3000", p.wait(t))
	_, err := r.WaitOutput("errors without stopping")
	must(t, err)
}
