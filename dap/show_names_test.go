//go:build linux && amd64

package dap

import "testing"

func TestShortType(t *testing.T) {
	for name, want := range map[string]string{
		"int":                             "int",
		"main.order":                      "main.order",
		"*net/http.Request":               "*http.Request",
		"map[string]*example.com/a-b/c.T": "map[string]*c.T",
		"example.com/box.Box[example.com/x/y.T,go.shape.int]": "box.Box[y.T,int]",
		"func(net/http.ResponseWriter, *net/http.Request)":    "func(http.ResponseWriter, *http.Request)",
		"error(*io/fs.PathError)":                             "error(*fs.PathError)",
		"map[string]interface {}":                             "map[string]any",
		"<-chan struct {}":                                    "<-chan struct {}",
		"gopkg.in/yaml%2ev3.Node":                             "yaml%2ev3.Node",
	} {
		if got := shortType(name); got != want {
			t.Errorf("%s is shown as %s, want %s", name, got, want)
		}
	}
}

func TestCutRaw(t *testing.T) {
	for expr, want := range map[string]struct {
		rest string
		raw  bool
	}{
		"o.Placed,raw": {"o.Placed", true}, "o.Placed ,raw": {"o.Placed", true},
		"o.raw": {"o.raw", false}, "f(a,raw)": {"f(a,raw)", false},
	} {
		if rest, raw := cutRaw(expr); rest != want.rest || raw != want.raw {
			t.Errorf("cutRaw(%q) = %q, %v", expr, rest, raw)
		}
	}
}
