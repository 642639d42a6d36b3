package main

import (
	"net/http"
	"strconv"
)

func registerLong(mux *http.ServeMux) { mux.HandleFunc("GET /long", long) }

// total is inlined: to who steps over its call it is one long line.
func total(n int) (sum int) {
	for i := range n {
		sum = sum*31 ^ i
	}
	return sum
}

// long computes for as many rounds as it is told.
func long(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil { //bp:long-line
		fail(w, ErrBadID)
		return
	}
	sum := total(n)
	label := strconv.Itoa(sum) //bp:long-line-end
	if n > 1_000_000 {
		label += " long"
	}
	reply(w, http.StatusOK, map[string]string{"sum": label})
}
