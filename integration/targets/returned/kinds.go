package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// kinds are the ways to return an error, by the path that they are at.
var kinds = map[string]func(v string) error{
	"fine":     fine,
	"wrapped":  wrapped,
	"library":  library,
	"variable": variable,
	"helped":   helped,
	"many":     many,
	"method":   method,
	"closure":  closure,
	"generic":  generic,
	"deferred": deferred,
	"joined":   joined,
	"again":    again,
	"started":  started,
	"hot":      hot,
	"blank":    blank,
	"slow":     slow,
}

// notFound is an error of the program's own.
type notFound struct {
	ID  string
	Err error
}

func (e *notFound) Error() string { return "no " + e.ID }
func (e *notFound) Unwrap() error { return e.Err }

var errEmpty = errors.New("empty")

//go:noinline
func fine(v string) error {
	if len(v) > 1000 {
		return fmt.Errorf("%q is too long", v)
	}
	return nil
}

// wrapped: an error of find's own, wrapped twice.
func wrapped(v string) error {
	if err := load(v); err != nil {
		return fmt.Errorf("wrapped: %w", err)
	}
	return nil
}

//go:noinline
func load(v string) error {
	id, err := find(v)
	if err != nil {
		return fmt.Errorf("load %d: %w", id, err)
	}
	return nil
}

//go:noinline
func find(v string) (int, error) {
	if err := fine(v); err != nil {
		return 0, err
	}
	if v != "" {
		return len(v), &notFound{ID: v} //bp:find
	}
	return 0, nil
}

// library: an error of a library's, where the program has it first.
//
//go:noinline
func library(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil {
		return err //bp:library
	}
	return fine(strconv.Itoa(n))
}

// variable: a variable's value, passed on as it is, by two functions and a helper.
func variable(v string) error {
	_, err := second(v)
	return note(err)
}

//go:noinline
func second(v string) (string, error) {
	s, err := first(v)
	return s + "!", err
}

//go:noinline
func first(v string) (string, error) {
	return v, errEmpty //bp:variable
}

//go:noinline
func note(err error) error { return err }

// helped: wrapped by a helper that is handed it.
func helped(v string) error {
	_, err := find(v)
	return annotate("helped", err)
}

//go:noinline
func annotate(what string, err error) error {
	if err == nil {
		return nil
	}
	return &notFound{ID: what, Err: err}
}

type wide struct{ A, B, C, D, E, F int }

// many: more results than there are registers.
func many(v string) error {
	_, _, _, err := results(v)
	return err
}

//go:noinline
func results(v string) (wide, wide, string, error) {
	w := wide{A: len(v)}
	if v == "" {
		return w, w, v, nil
	}
	return w, wide{F: 1}, v, &notFound{ID: "many " + v} //bp:many
}

type store struct{ prefix string }

// method: of an interface's.
func method(v string) error {
	var s finder = &store{prefix: "m"}
	return s.find(v)
}

type finder interface{ find(v string) error }

//go:noinline
func (s *store) find(v string) error {
	if v == "" {
		return nil
	}
	return &notFound{ID: s.prefix + v} //bp:method
}

func closure(v string) error {
	n := 0
	try := func() (int, error) {
		n++
		if v == "" {
			return n, nil
		}
		return n, &notFound{ID: v} //bp:closure
	}
	return repeat(try)
}

//go:noinline
func repeat(f func() (int, error)) error {
	_, err := f()
	return err
}

func generic(v string) error {
	_, err := pick([]string{"a", "b"}, v)
	if err != nil {
		return err
	}
	_, err = pick([]int{1, 2}, len(v))
	return err
}

//go:noinline
func pick[T comparable](list []T, v T) (T, error) {
	for _, l := range list {
		if l == v {
			return l, nil
		}
	}
	var none T
	return none, fmt.Errorf("%v: %w", v, errEmpty) //bp:generic
}

// deferred: a deferred function makes the error.
func deferred(v string) error {
	_, err := closing(v)
	return err
}

//go:noinline
func closing(v string) (n int, err error) {
	defer func() {
		if v != "" && err == nil {
			err = &notFound{ID: "deferred " + v}
		}
	}()
	return len(v), fine(v) //bp:deferred
}

// joined: two errors, then one of both.
func joined(v string) error {
	_, err1 := find(v)
	err2 := (&store{prefix: "j"}).find(v)
	return errors.Join(err1, err2)
}

// again: the same variable, returned twice by the same function, and dropped.
//
//go:noinline
func again(v string) error {
	for range 2 {
		if _, err := first(v); errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}

// started: a goroutine returns it, its starter passes it on.
func started(v string) error {
	var group sync.WaitGroup
	var err error
	group.Add(1)
	go func() {
		defer group.Done()
		_, err = find(v)
	}()
	group.Wait()
	return err
}

// slow takes that many milliseconds.
func slow(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(n) * time.Millisecond)
	return fine(v)
}

func blank(v string) error {
	_, _, err := blanks(v)
	return err
}

//go:noinline
func blanks(v string) (_ string, _ int, err error) {
	if v != "" {
		return v, 1, &notFound{ID: v} //bp:blank
	}
	return v, 1, nil
}

// hot returns errors in numbers, and none in the end.
func hot(v string) error {
	n, err := strconv.Atoi(v)
	if err != nil {
		return err
	}
	for range n {
		_, _ = find("x")
		_ = fine(v)
	}
	return nil
}
