//go:build linux && amd64

package integration_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// TestRedactedExceptions: an error and a panic that are in no variable show nothing
// of their secrets, neither in what is told of the stop nor in what can be asked,
// and a condition is no way to ask for them.
func TestRedactedExceptions(t *testing.T) {
	t.Parallel()
	binary, err := builder.Target("vault")
	must(t, err)
	const seed = "exceptions"
	r := &panicRig{rig: rigOf(t, binary, "-seed", seed)}
	r.Client = r.dial(r.attach())
	must(t, r.SessionWith(nil, ""))
	const refused = "redaction is on"
	for _, c := range []struct {
		path, filter, condition string
		told                    string // of the stop
	}{
		{"/refuse", "returned", "", "nobody has"},
		{"/refuse?panic", "panic", "", "nobody has"},
		{"/refuse", "returned", `err.(*main.refused).proof[0] == 118`, refused},
		{"/refuse?panic", "panic", `panic.(*main.refused).proof[0] == 118`, refused},
		{"/refuse", "returned", `len(err.(*main.refused).apiKey) == 24`, refused},
		{"/refuse", "returned", `err.(*main.refused).reason != ""`, "nobody has"},
		{"/refuse", "returned", `/nobody has v[0-9a-f]/`, ""},
	} {
		for _, bp := range r.filter(filter(c.filter, c.condition)) {
			if !bp.Verified {
				t.Fatalf("%+v: %s", c, bp.Message)
			}
		}
		p := r.send("GET", c.path, nil)
		if c.told != "" {
			stop, err := r.WaitStopped(daptest.AnyThread)
			must(t, err)
			if stop.Reason != "exception" || !strings.Contains(stop.Description, c.told) {
				t.Errorf("%+v: stopped %+v", c, stop)
			}
			th := &thread{&ide{r.Client, t}, stop.ThreadId}
			info := r.info(th)
			v, err := r.Evaluate(info.Details.EvaluateName, th.top().ID, "watch")
			must(t, err)
			rows, err := r.Variables(v.VariablesReference)
			must(t, err)
			all, err := json.Marshal([]any{stop, info, v, rows})
			must(t, err)
			for _, place := range []string{"refusal", "proof"} {
				if strings.Contains(string(all), planted(seed, place)) {
					t.Errorf("%+v: %s is in %s", c, place, all)
				}
			}
			_, err = r.Do("continue", dap.ContinueArguments{ThreadId: th.id})
			must(t, err)
		}
		p.wait(t)
	}
	for _, text := range outputs(r.Events()) {
		if strings.Contains(text, planted(seed, "refusal")) {
			t.Errorf("the console says %q", text)
		}
	}
}
