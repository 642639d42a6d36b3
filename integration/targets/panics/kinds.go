package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
)

// kinds are the handlers by the last part of their path.
var kinds = map[string]http.HandlerFunc{
	"nil":      nilPointer,
	"index":    index,
	"nilmap":   nilMap,
	"custom":   custom,
	"text":     text,
	"assert":   assertion,
	"divide":   divide,
	"slice":    slice,
	"panicnil": panicNil,
	"abort":    abort,
	"goexit":   goexit,
	"indefer":  inDefer,
	"nested":   nested,
	"unlock":   unlock,
	"deep":     deep,
	"fine":     fine,
	"failing":  failing,
	"missing":  missing,
	"inlined":  inlined,
}

type account struct {
	Owner   string
	Balance int
}

//go:noinline
func find(id string) *account {
	if id == "7" {
		return &account{Owner: "Ada", Balance: 799}
	}
	return nil
}

func nilPointer(w http.ResponseWriter, r *http.Request) {
	known := find("7")
	a := find(r.URL.Path)
	fmt.Fprintln(w, a.Balance) //bp:nil
	fmt.Fprintln(w, known.Owner)
}

func index(w http.ResponseWriter, r *http.Request) {
	items := strings.Split(r.URL.Path, "/")
	known := find("7")
	fmt.Fprintln(w, items[int(r.ContentLength)+5]) //bp:index
	fmt.Fprintln(w, known.Owner)
}

func nilMap(_ http.ResponseWriter, r *http.Request) {
	var counts map[string]int
	key := r.URL.Path
	//lint:ignore SA5000 it is meant to panic
	counts[key]++ //bp:nilmap
}

// shortage is an error of the application's own.
type shortage struct {
	Item  string
	Count int
	Err   error
}

func (s *shortage) Error() string { return fmt.Sprintf("%d of %s missing: %v", s.Count, s.Item, s.Err) }
func (s *shortage) Unwrap() error { return s.Err }

var errStock = errors.New("stock is empty")

func custom(_ http.ResponseWriter, r *http.Request) {
	wrapped := fmt.Errorf("load %s: %w", r.URL.Path, &shortage{"bolts", 3, fmt.Errorf("warehouse: %w", errStock)})
	panic(wrapped) //bp:custom
}

func text(_ http.ResponseWriter, r *http.Request) {
	count := len(r.URL.Path)
	panic(fmt.Sprintf("no more than %d", count)) //bp:text
}

func assertion(w http.ResponseWriter, r *http.Request) {
	var v any = r.URL.Path
	fmt.Fprintln(w, v.(int)) //bp:assert
}

func divide(w http.ResponseWriter, r *http.Request) {
	zero := len(r.URL.RawQuery)
	fmt.Fprintln(w, 100/zero) //bp:divide
}

func slice(w http.ResponseWriter, r *http.Request) {
	from := len(r.URL.Path) + 1
	fmt.Fprintln(w, r.URL.Path[from:]) //bp:slice
}

func panicNil(http.ResponseWriter, *http.Request) {
	panic(nil) //bp:panicnil
}

func abort(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "part")
	panic(http.ErrAbortHandler) //bp:abort
}

// goexit ends the goroutine: no panic.
func goexit(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusOK)
	runtime.Goexit()
}

// inDefer panics in a deferred function, after no other panic.
func inDefer(_ http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	defer func() {
		panic("deferred " + path) //bp:indefer
	}()
	fine(nil, nil)
}

// nested panics while another panic runs the deferred functions.
func nested(http.ResponseWriter, *http.Request) {
	defer func() {
		panic("second") //bp:nested-second
	}()
	panic("first") //bp:nested-first
}

var mu sync.Mutex

// unlock panics where the first deferred function is not the user's.
func unlock(http.ResponseWriter, *http.Request) {
	mu.Lock()
	defer mu.Unlock()
	panic("locked") //bp:unlock
}

// deep panics far below its handler and recovers in the middle.
func deep(w http.ResponseWriter, r *http.Request) {
	got := guarded(5)        //bp:deep
	fmt.Fprintln(w, got, "") //bp:deep-after
}

//go:noinline
func guarded(n int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("guarded: %v", v) //bp:guarded
		}
	}()
	down(n) //bp:guarded-call
	return nil
}

//go:noinline
func down(n int) {
	if n == 0 {
		panic("bottom") //bp:down
	}
	down(n - 1)
}

func fine(w http.ResponseWriter, _ *http.Request) {
	if w != nil {
		fmt.Fprintln(w, "fine")
	}
}

func inlined(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, third(strings.Split(r.URL.Path, "-")))
}

func third(list []string) string {
	return list[2] //bp:third
}

// failing answers with an error that a function far below has returned.
func failing(w http.ResponseWriter, r *http.Request) {
	item := r.URL.Path
	if err := reserve(item); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable) //bp:failing
		w.Header().Set("X-Item", item)                            //bp:failing-after
		return
	}
	fmt.Fprintln(w, "reserved", item)
}

//go:noinline
func reserve(item string) error {
	if err := book(item); err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	return nil
}

//go:noinline
func book(item string) error { return &shortage{Item: item, Count: 1, Err: errStock} }

func missing(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusNotFound) //bp:missing
}
