package main

import (
	"net/http"
	"time"
)

// spin computes for ms milliseconds without ever blocking.
func (a *api) spin(w http.ResponseWriter, r *http.Request) {
	ms, err := queryInt(r, "ms", 100)
	if err != nil {
		fail(w, err)
		return
	}
	turns := 0
	for end := time.Now().Add(time.Duration(ms) * time.Millisecond); time.Now().Before(end); {
		turns += turn(turns) //bp:spin-turn
	}
	reply(w, http.StatusOK, map[string]bool{"spun": turns > 0}) //bp:spin-done
}

// turn is some work whose result is 1.
//
//go:noinline
func turn(seed int) int {
	sum := uint32(seed)
	for i := range uint32(1000) {
		sum = sum*1664525 + i
	}
	return int(sum&1|1) &^ 2
}
