//go:build linux

package harness

import (
	"path/filepath"
	"strings"
)

// Variant is one way of building a service. The zero Variant is a plain
// optimised build with the Go that runs the tests.
type Variant struct {
	Go       string // toolchain as in GOTOOLCHAIN: "go1.24.13"; empty: the one at hand
	Trimpath bool
	PIE      bool
	Race     bool
	Cgo      bool // with a handler that calls C
	Stripped bool // -s -w
}

// String names the variant: "go1.24.13-trimpath".
func (v Variant) String() string {
	name := v.Go
	if name == "" {
		name = "local"
	}
	for _, part := range []struct {
		on   bool
		text string
	}{{v.Trimpath, "trimpath"}, {v.PIE, "pie"}, {v.Race, "race"}, {v.Cgo, "cgo"}, {v.Stripped, "stripped"}} {
		if part.on {
			name += "-" + part.text
		}
	}
	return name
}

func (v Variant) flags() []string {
	flags := []string{"-buildvcs=false"} // a checkout of another user has no stamp to give
	if v.Trimpath {
		flags = append(flags, "-trimpath")
	}
	if v.PIE {
		flags = append(flags, "-buildmode=pie")
	}
	if v.Race {
		flags = append(flags, "-race")
	}
	if v.Cgo {
		flags = append(flags, "-tags=cgocalls")
	}
	if v.Stripped {
		flags = append(flags, "-ldflags=-s -w")
	}
	return flags
}

// env is what differs from the environment of the tests. GOFLAGS is emptied:
// the variant alone says how to build.
func (v Variant) env() []string {
	env := []string{"GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0"}
	if v.Race || v.Cgo {
		env[2] = "CGO_ENABLED=1"
	}
	if v.Go != "" {
		env = append(env, "GOTOOLCHAIN="+v.Go)
	}
	return env
}

// SubstitutePath is what an IDE's launch configuration has to say for a
// service of this variant: nil unless its paths are not those of the checkout.
func (v Variant) SubstitutePath(root string) []map[string]string {
	if !v.Trimpath {
		return nil
	}
	dir := filepath.Join("integration", "targets")
	return []map[string]string{{
		"from": filepath.Join(root, dir),
		"to":   strings.Join([]string{"github.com/remotedbg/remotedbg", filepath.ToSlash(dir)}, "/"),
	}}
}
