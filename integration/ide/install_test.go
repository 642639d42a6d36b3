//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestUnavailable: CI goes on where VS Code cannot be had, and fails where the
// checkout is what is wrong.
func TestUnavailable(t *testing.T) {
	for _, c := range []struct {
		name, npm   string
		unavailable bool
	}{
		{"no registry", "echo 'npm error code ENOTFOUND'; exit 1", true},
		{"no such package there", "echo 'npm error code E404'; exit 1", true},
		{"an older npm without a registry", "echo 'npm ERR! code ECONNREFUSED'; exit 1", true},
		{"lock file that does not fit", "echo 'npm error code EUSAGE'; exit 1", false},
		{"package that is not what it was", "echo 'npm error code EINTEGRITY'; exit 1", false},
		{"an older npm and such a package", "echo 'npm ERR! code EINTEGRITY'; exit 1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin, parent := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+c.npm+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			_, err := npmModules(context.Background(), parent, ".")
			if err == nil || errors.Is(err, errUnavailable) != c.unavailable {
				t.Errorf("%v; to be unavailable: %t", err, c.unavailable)
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	t.Run("no npm", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := npmModules(context.Background(), t.TempDir(), "."); !errors.Is(err, errUnavailable) {
			t.Errorf("%v", err)
		}
	})
	t.Run("no browser and no apt-get", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := findChromium(context.Background(), ""); !errors.Is(err, errUnavailable) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a browser that was named", func(t *testing.T) {
		if _, err := findChromium(context.Background(), filepath.Join(t.TempDir(), "none")); err == nil || errors.Is(err, errUnavailable) {
			t.Errorf("%v", err)
		}
	})
}
