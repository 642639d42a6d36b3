package main

import (
	"fmt"
	"net/http"
)

// refused is an error that holds a secret, and says it in a text that nothing marks.
type refused struct {
	apiKey string
	reason string
	proof  accessToken // its type tells
}

func (e *refused) Error() string { return e.reason }

// refusal leaves the secret in no variable of a function.
//
//go:noinline
func (v *vault) refusal() error {
	return &refused{planted("refusal"), "nobody has " + planted("refusal"), accessToken(planted("proof"))}
}

// refuse handles the request that tests stop at an error, and at a panic.
func (v *vault) refuse(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if recover() != nil {
			w.WriteHeader(http.StatusForbidden)
		}
	}()
	if r.URL.Query().Has("panic") {
		panic(v.refusal())
	}
	if v.refusal() != nil {
		fmt.Fprintln(w, "no")
	}
}
