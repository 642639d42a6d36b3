package main

import (
	"log"
	"net/http"
	"os"
	"syscall"
)

// The handlers in this file end the process in the ways a service can end by
// itself. They answer to POST only: nobody comes to them by browsing.

func registerEnds(mux *http.ServeMux) {
	mux.HandleFunc("POST /exit", exit)
	mux.HandleFunc("POST /crash", crash)
	mux.HandleFunc("POST /exec", startAnew)
}

// exit ends the process with the code that it is asked for.
func exit(w http.ResponseWriter, r *http.Request) {
	code, err := queryInt(r, "code", 0)
	if err != nil {
		fail(w, err)
		return
	}
	os.Exit(code)
}

// crash panics in a goroutine of its own, which nobody recovers.
func crash(http.ResponseWriter, *http.Request) {
	go func() { panic("shop: asked to crash") }()
	select {} // until it has
}

// startAnew replaces the process by a new one of the same program and arguments, as
// services do that restart in place.
func startAnew(w http.ResponseWriter, _ *http.Request) {
	err := syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	log.Printf("shop: exec: %v", err)
	fail(w, err)
}
