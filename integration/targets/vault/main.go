// Command vault is an HTTP service that is full of secrets: the target of the
// tests that look for them at the other end of a debugger. It is built the ordinary
// way, optimised and without special flags.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

// seed makes the secrets of one run. Tests choose it and know them so.
var seed string

// planted is a secret that nothing but its place tells to be one.
func planted(place string) string {
	sum := sha256.Sum256([]byte(seed + "/" + place))
	return "v" + hex.EncodeToString(sum[:])[:23]
}

func main() {
	flag.StringVar(&seed, "seed", "vault", "what the secrets are made from")
	flag.Parse()
	g, err := gate.New(gate.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
	v := newVault()
	mux := http.NewServeMux()
	mux.HandleFunc("/transfer", v.transfer)
	mux.HandleFunc("/refuse", v.refuse)
	mux.HandleFunc("/orders/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	serve.Main("vault", &http.Server{Handler: middleware.New(g)(mux)})
}
