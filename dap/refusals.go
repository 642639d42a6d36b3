//go:build linux && amd64

package dap

// refusals are the requests of the protocol that have no route, with the
// reason: a client that was told why can do something else.
var refusals = map[string]string{
	"goto":        noGoto,
	"gotoTargets": noGoto,

	"restartFrame":    "the stack of a frozen request cannot be unwound: what its callers hold, and the response written so far, would not be; send the request again",
	"restart":         "the service is not the debugger's to start again; send the request again",
	"stepBack":        noHistory,
	"reverseContinue": noHistory,

	"terminateThreads": "a thread is a request of a live service, and Go cannot end a goroutine from outside; continue it",
	"runInTerminal":    "it is a request to the client",
	"startDebugging":   "it is a request to the client",

	"stepInTargets": "a step into goes to the next call; to choose one, set a breakpoint in it and continue",
	"locations":     "values carry no location references; the declaration is what the editor finds by name",
}

const (
	noGoto = "the program counter of a frozen goroutine cannot be moved safely: the registers and stack slots at the target would hold what was computed at another place, and the garbage collector reads them by the tables of that place"

	noHistory = "the execution is not recorded, which a live service could not bear; send the request again"
)
