//go:build linux && amd64

package dlvrpc

import (
	"slices"
	"testing"
)

func TestGuess(t *testing.T) {
	dirs := map[string]string{
		"example.com/shop":         "/build/src",
		"example.com/shop/pay":     "/build/src/pay",
		"example.com/shop/pay/tax": "/build/src/pay/tax",
		"example.com/shopping":     "/elsewhere",
		"example.com/lib/deep":     "/mod/lib@v1/deep",
		"example.com/odd/a":        "/generated",
	}
	got := guess(dirs, map[string]string{
		"example.com/shop":   "/home/me/shop",
		"example.com/lib":    "/home/me/lib",
		"example.com/odd":    "/home/me/odd",
		"example.com/absent": "/home/me/absent",
	})
	want := [][2]string{{"/mod/lib@v1", "/home/me/lib"}, {"/build/src", "/home/me/shop"}}
	if !slices.Equal(got, want) {
		t.Errorf("guessed %v, want %v", got, want)
	}
}
