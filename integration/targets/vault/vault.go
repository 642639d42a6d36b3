package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"sync"
)

// vault has a secret in every place that a program may have one.
type vault struct {
	Region   string
	settings map[string]string
	sessions sync.Map
	queue    chan delivery
	signer   func(string) string
	root     **branch
	accounts []*account

	// Copies has all of them again, with nothing that tells: what was found
	// elsewhere must be known here.
	Copies []string
}

// adminPassword is a package variable.
var adminPassword string

type account struct {
	Owner   string
	Balance int
	apiKey  string
	Note    string `json:"note" remotedbg:"-"` // nothing in its name tells
	Card    card
}

type card struct {
	Holder     string
	cardNumber uint64
	cvv        int
}

type branch struct {
	Name   string
	next   *branch
	secret *string
}

// delivery is what waits in a channel.
type delivery struct {
	To    string
	token string
}

// attribute is a pair, as loggers have them.
type attribute struct {
	Key   string
	Value string
}

// accessToken is a type whose name tells.
type accessToken []byte

func newVault() *vault {
	adminPassword = planted("global")
	v := &vault{
		Region:   "eu-central",
		settings: map[string]string{"db_password": planted("map"), "colour": "teal"},
		queue:    make(chan delivery, 4),
	}
	v.sessions.Store("password", planted("syncmap"))
	v.sessions.Store("theme", "dark")
	v.queue <- delivery{"Edsger", planted("channel")}
	v.signer = newSigner(planted("closure"))
	deep := planted("pointer")
	b := &branch{Name: "root", next: &branch{Name: "leaf", secret: &deep}}
	v.root = &b
	v.accounts = []*account{{
		Owner: "Ada", Balance: 799, apiKey: planted("field"), Note: planted("tag"),
		Card: card{"Ada L", 4111111111111111, 737},
	}}
	for _, place := range []string{"global", "map", "syncmap", "channel", "closure", "pointer", "field", "tag", "label", "attribute", "bytes"} {
		v.Copies = append(v.Copies, planted(place))
	}
	return v
}

func newSigner(signingKey string) func(string) string {
	return func(s string) string { return s + signingKey[:0] }
}

// transfer handles the request that tests stop.
func (v *vault) transfer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	user, hidden, _ := r.BasicAuth() // not of this request: empty
	if hidden == adminPassword {
		user = "admin"
	}
	labels := pprof.Labels("session_token", planted("label"), "step", "transfer")
	pprof.Do(r.Context(), labels, func(ctx context.Context) {
		v.move(ctx, w, r, body, user+hidden)
	})
}

//go:noinline
func (v *vault) move(ctx context.Context, w http.ResponseWriter, r *http.Request, body []byte, user string) {
	acct := v.accounts[0]
	blob := v.accessBlob()
	alias := r.Header.Get("Authorization") // a copy of the header's string
	plain := string(body)
	failed := fmt.Errorf("bad token %s for %s", r.URL.Query().Get("token"), acct.Owner)
	attrs := []attribute{{"secret", planted("attribute")}, {"amount", "12"}}
	reference := []string{jwt(), "card 4111 1111 1111 1111"}
	copied := append([]byte("copy of "), alias...)
	kept, _ := v.sessions.Load("password")
	limit := 250
	use(ctx, &acct, &blob, &alias, &plain, &failed, &attrs, &reference, &copied, &limit, &body, &kept) //bp:vault
	fmt.Fprintf(w, "%s: %d in %s%s\n", acct.Owner, acct.Balance, v.Region, user)                       //bp:vault-log
	use(ctx, &acct, &blob, &alias, &plain, &failed, &attrs, &reference, &copied, &limit, &body, &kept) //bp:vault-condition
	v.signer("x")
}

//go:noinline
func (v *vault) accessBlob() accessToken { return accessToken(planted("bytes")) }

// jwt is a token that no name tells: its form does.
func jwt() string {
	return "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + planted("jwt")
}

// sink keeps what is used alive.
var sink = make(chan []any, 1)

//go:noinline
func use(values ...any) {
	select {
	case sink <- values:
	default:
		<-sink
	}
}
