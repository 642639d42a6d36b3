//go:build linux && amd64

package dap

import "testing"

func rule(from, to string) substituteRule { return substituteRule{From: from, To: to} }

func TestSubstitutePath(t *testing.T) {
	unix := rule("/home/me/shop", "/build/src/shop")
	root := rule("/home/me", "/")
	windows := rule(`C:\Users\me\shop`, "/build/shop")
	trimmed := rule("/home/me/shop", "github.com/acme/shop")
	relative := rule("/home/me/go", "")
	for _, tt := range []struct {
		name           string
		rules          []substituteRule
		client, server string
		back           string // toClient(server) if it is not client
	}{
		{"no rule", nil, "/a/b.go", "/a/b.go", ""},
		{"below", []substituteRule{unix}, "/home/me/shop/x/a.go", "/build/src/shop/x/a.go", ""},
		{"only whole elements", []substituteRule{unix}, "/home/me/shopping/a.go", "/home/me/shopping/a.go", ""},
		{"trailing separators", []substituteRule{rule("/home/me/shop/", "/b/")}, "/home/me/shop/a.go", "/b/a.go", ""},
		{"to the root", []substituteRule{root}, "/home/me/a.go", "/a.go", ""},
		{"first rule wins", []substituteRule{unix, rule("/home/me", "/other")}, "/home/me/shop/a.go", "/build/src/shop/a.go", ""},
		{"second rule", []substituteRule{unix, rule("/home/me", "/other")}, "/home/me/lib/a.go", "/other/lib/a.go", ""},
		{"windows client", []substituteRule{windows}, `C:\Users\me\shop\x\a.go`, "/build/shop/x/a.go", ""},
		{"windows drive in lower case", []substituteRule{windows}, `c:\Users\me\shop\a.go`, "/build/shop/a.go", `C:\Users\me\shop\a.go`},
		{"backslash in a unix name", []substituteRule{unix}, `/home/me/shop/a\b.go`, `/build/src/shop/a\b.go`, ""},
		{"trimpath module", []substituteRule{trimmed}, "/home/me/shop/a.go", "github.com/acme/shop/a.go", ""},
		{"trimpath, empty to", []substituteRule{relative}, "/home/me/go/fmt/print.go", "fmt/print.go", ""},
		{"the directory itself", []substituteRule{unix}, "/home/me/shop", "/build/src/shop", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := newPathMap(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			if all, _ := m.toServer(tt.client); all[0] != tt.server {
				t.Errorf("toServer(%q) = %q, want %q first", tt.client, all, tt.server)
			}
			back := tt.back
			if back == "" {
				back = tt.client
			}
			if got := m.toClient(tt.server); got != back {
				t.Errorf("toClient(%q) = %q, want %q", tt.server, got, back)
			}
		})
	}
	if _, err := newPathMap([]substituteRule{{}}); err == nil {
		t.Error("a rule with neither from nor to was accepted")
	}
	if _, err := newPathMap(make([]substituteRule, maxRules+1)); err == nil {
		t.Error("any number of rules was accepted")
	}
}

func TestShortName(t *testing.T) {
	for in, want := range map[string]string{
		"main.main": "main.main",
		"github.com/acme/shop/orders.(*Service).Load":        "orders.(*Service).Load",
		"github.com/acme/shop.Map[github.com/acme/shop/x.T]": "shop.Map[github.com/acme/shop/x.T]",
		"gopkg.in/yaml%2ev3.Unmarshal":                       "yaml%2ev3.Unmarshal",
	} {
		if got := shortName(in); got != want {
			t.Errorf("shortName(%q) = %q, want %q", in, got, want)
		}
	}
}
