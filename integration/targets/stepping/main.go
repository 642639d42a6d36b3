// Command stepping is a service whose handlers are programs to be stepped
// through: one for each construct of the language at which steps are easily
// wrong. A handler's first line has the mark //bp:NAME, its path is /NAME.
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
		"/straight":   straight,
		"/branches":   branches,
		"/loops":      loops,
		"/recursion":  recursion,
		"/inlined":    inlined,
		"/closures":   closures,
		"/methods":    methods,
		"/interfaces": interfaces,
		"/generics":   generics,
		"/defers":     defers,
		"/recovered":  recovered,
		"/rangefunc":  rangeFunc,
		"/rangebreak": rangeBreak,
		"/rangedefer": rangeDefer,
		"/selects":    selects,
		"/channels":   channels,
		"/gostart":    goStart,
		"/types":      types,
		"/jumps":      jumps,
		"/multiline":  multiline,

		"/rangelabels":     rangeLabels,
		"/rangereturns":    rangeReturns,
		"/rangepull":       rangePulled,
		"/nestedclosures":  nestedClosures,
		"/deferloop":       deferLoopCalls,
		"/defermethods":    deferMethods,
		"/selectdefault":   selectDefault,
		"/typeswitch":      typeSwitch,
		"/gotos":           gotos,
		"/fallthrough":     fallsThrough,
		"/promoted":        promoted,
		"/genericmethods":  genericMethods,
		"/mutual":          mutual,
		"/recoveredinside": recoveredInside,
		"/repanicked":      repanicked,
		"/nilpanics":       nilPanics,
		"/shortcircuit":    shortCircuit,
		"/emptyloop":       emptyLoop,
		"/closureargs":     closureArgs,
		"/variadics":       variadics,

		"/lib-pool":    pooled,
		"/lib-reflect": reflected,
		"/lib-map":     mapped,
		"/lib-time":    timed,
		"/lib-sync":    synced,
		"/lib-fmt":     printed,
		"/lib-json":    encoded,
		"/lib-runtime": runtimeCalls,
		"/lib-sort":    sorted,
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, f()) })
	}
	serve.Main("stepping", &http.Server{Handler: middleware.New(&gate.Gate{})(mux)})
}
