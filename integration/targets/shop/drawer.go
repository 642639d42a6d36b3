package main

import (
	"net/http"
	"os"
	"syscall"
)

// drawer is what only one request at a time may use, and for which the others
// wait in the kernel, as they would for a row of a database: nothing in the
// runtime shows what they wait for.
type drawer struct{ path string }

// registerDrawer adds the route whose handler holds it.
func registerDrawer(mux *http.ServeMux) {
	d := &drawer{path: os.Args[0]} // any file that is there
	mux.HandleFunc("GET /drawer", d.drawer)
}

func (d *drawer) drawer(w http.ResponseWriter, _ *http.Request) {
	if err := d.open(); err != nil {
		reply(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	reply(w, http.StatusOK, map[string]bool{"open": true})
}

// open holds a lock of the file (flock(2)), which belongs to the descriptor, so
// that two requests of one process exclude each other.
//
//go:noinline
func (d *drawer) open() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer f.Close() // and with it the lock
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	_, err = f.Stat() //bp:drawer-open
	return err
}
