//go:build cgocalls

package main

/*
#include <unistd.h>

static int add_slowly(int a, int b) {
	usleep(20000);
	return a + b;
}
*/
import "C"

import "net/http"

// registerCalls adds the route whose handler calls C.
func registerCalls(mux *http.ServeMux) {
	mux.HandleFunc("GET /calls", calls)
}

func calls(w http.ResponseWriter, r *http.Request) {
	n := len(r.URL.Path)                                //bp:calls-entry
	sum := int(C.add_slowly(C.int(n), 35))              //bp:calls-c
	reply(w, http.StatusOK, map[string]int{"sum": sum}) //bp:calls-after
}
