package main

import (
	"net/http"
	"strconv"
)

// account is what data breakpoints watch.
type account struct {
	Owner   string
	Balance int64
	Code    [8]byte
	Closed  bool
	Notes   map[string]int
	History []int64
}

//lint:file-ignore U1000 what is only written here is watched by a debugger

// payments is a package variable that every request writes.
var payments int64

func registerMemory(mux *http.ServeMux) { mux.HandleFunc("GET /account", accountPage) }

// accountPage books payments in an account: by a function, in the middle of a
// line, again the same, in a loop, and through a copy.
func accountPage(w http.ResponseWriter, r *http.Request) {
	var local int64
	acc := &account{Owner: r.URL.Query().Get("owner"), Balance: 100, Notes: map[string]int{"a": 1}, History: make([]int64, 4)}
	kept = acc
	owe(&local, acc)         //bp:account-open
	bump(&local)             //bp:account-local
	deposit(acc, 20)         //bp:account-deposit
	deposit(acc, 0)          //bp:account-same
	payments++               //bp:account-payments
	for i := range 200_000 { //bp:account-loop
		acc.History[i&3] += int64(i) //bp:account-history
	}
	copy(acc.Code[:], code(r)) //bp:account-code
	acc.Closed = true          //bp:account-closed
	kept = nil
	reply(w, http.StatusOK, map[string]int64{"balance": acc.Balance, "local": local}) //bp:account-reply
}

var kept *account // makes accounts escape to the heap

//go:noinline
func deposit(acc *account, n int64) {
	acc.Balance += n //bp:deposit
	settled(n)       //bp:deposit-done
}

//go:noinline
func bump(n *int64) { *n++ }

//go:noinline
func settled(int64) {}

//go:noinline
func code(r *http.Request) string { return "code-" + strconv.Itoa(len(r.URL.Path)) + "---" }

//go:noinline
func owe(cents *int64, acc *account) { *cents += int64(len(acc.Owner)) }
