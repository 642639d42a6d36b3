// Command longlines is a service whose handlers each have one line that executes a
// hundred million instructions: in a loop, below a call, in a closure that the
// library calls, in a recursion. The line has the mark //bp:NAME, the one that comes
// next has //bp:NAME-end, and the path is /NAME.
//
// What they compute is answered, so that nothing is dead code.
package main

import (
	"fmt"
	"net/http"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	mux := http.NewServeMux()
	for path, f := range map[string]func() int{
		"/inline":    inline,
		"/loop":      loop,
		"/loopcalls": loopCalls,
		"/call":      call,
		"/closure":   closure,
		"/recursive": recursive,
		"/inside":    inside,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, f()) })
	}
	serve.Main("longlines", &http.Server{Handler: middleware.New(&gate.Gate{})(mux)})
}
