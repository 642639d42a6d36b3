//go:build linux

// Command bigtarget writes the source of a service whose binary is as large as
// those of big companies are, builds it and prints the binary's path: many
// packages of messages like protobuf's, each with its getters and its encoding,
// and generics that are instantiated with every one of them. The gate is in it,
// so that dlv and remotedbg can be measured on it (integration/compare -big).
//
//	go run ./bigtarget                  about 200 MB
//	go run ./bigtarget -packages 20     smaller
//
// What it builds is kept in the user's cache folder, under a name made of the
// generator's output, so that only the first run takes minutes. It owns the
// shape of the service; it has no goroutines.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// defaultPackages makes a binary of 200 MB with Go 1.26 on linux/amd64.
const defaultPackages = 108

func main() {
	packages := flag.Int("packages", defaultPackages, "`number` of generated packages; the binary grows with it")
	cache := flag.String("cache", "", "`folder` for source and binary; empty: one in the user's cache")
	flag.Parse()
	if err := run(*packages, *cache); err != nil {
		fmt.Fprintln(os.Stderr, "bigtarget:", err)
		os.Exit(1)
	}
}

func run(packages int, cache string) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return err
		}
		cache = filepath.Join(cache, "remotedbg-bigtarget")
	}
	files := generate(packages, root)
	dir := filepath.Join(cache, digest(files))
	exe := filepath.Join(dir, "bigtarget")
	if _, err := os.Stat(exe); errors.Is(err, fs.ErrNotExist) {
		began := time.Now()
		if err := build(dir, exe, files); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "bigtarget: built in %v\n", time.Since(began).Round(time.Second))
	}
	info, err := os.Stat(exe)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "bigtarget: %d packages, %.0f MB\n", packages, float64(info.Size())/1e6)
	fmt.Println(exe)
	return nil
}

// digest names what is generated and what builds it.
func digest(files map[string]string) string {
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version())
	for _, name := range sortedKeys(files) {
		fmt.Fprintf(h, "%s %d\n%s", name, len(files[name]), files[name])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// build writes the files and builds them. The binary gets its name last, so that
// a build that was interrupted is not taken for a finished one.
func build(dir, exe string, files map[string]string) error {
	for name, text := range files {
		file := filepath.Join(dir, "src", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", exe+".new", ".")
	cmd.Dir = filepath.Join(dir, "src")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", cmd.Dir, err, out)
	}
	return os.Rename(exe+".new", exe)
}

// checkout is the root of this repository, above the working directory.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return filepath.EvalSymlinks(dir)
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.work above the working directory: run it inside the checkout")
		}
		dir = filepath.Dir(dir)
	}
}
