//go:build linux && amd64

package dap

import (
	"errors"
	"strings"

	"github.com/google/go-dap"
)

// A kind is one way a DAP request can fail. Its id is what a client, a log or
// a bug report identifies it by, so ids are never reused and never renumbered.
type kind struct {
	id   int
	what string // what failed, lower case
	hint string // what to try next
	show bool   // worth a dialog; otherwise the client shows it where it asked
}

// kinds holds every kind, for the test that proves ids unique.
var kinds []*kind

func newKind(id int, what, hint string, show bool) *kind {
	k := &kind{id, what, hint, show}
	kinds = append(kinds, k)
	return k
}

// The kinds, grouped by the hundred: protocol, life cycle, requests, stack and
// variables, evaluate, breakpoints.
var (
	kindMalformed    = newKind(1001, "malformed message", "send one JSON object with seq, type \"request\" and command", false)
	kindUnknown      = newKind(1002, "unknown command", "check its spelling against the Debug Adapter Protocol", false)
	kindUnsupported  = newKind(1003, "unsupported request", "the capabilities in the initialize response list what this server can do", false)
	kindBadArguments = newKind(1004, "bad arguments", "check the arguments against the Debug Adapter Protocol", false)
	kindOutOfOrder   = newKind(1005, "request out of order", "send initialize, attach, setBreakpoints, configurationDone, in this order", false)
	kindInternal     = newKind(1006, "internal error", "the service and this session go on; please report it with the output above", true)

	kindCancelled = newKind(1007, "cancelled", "the client withdrew the request before its turn", false)

	kindRole  = newKind(1008, "beyond the role", "look at docs/roles.md for what each role may do", true)
	kindAudit = newKind(1009, "not written down, so not done", "make room where the audit goes, which the output of remotedbg attach says, or ask for less at once", true)

	kindLaunch = newKind(1101, "launch refused", "use \"request\": \"attach\" with \"mode\": \"remote\": the service is running already and remotedbg never starts one", true)
	kindMode   = newKind(1102, "attach mode refused", "use \"mode\": \"remote\"", true)
	kindAttach = newKind(1103, "cannot attach", "look at what the agent (remotedbg attach) prints", true)
	kindBusy   = newKind(1104, "cannot attach", "disconnect another IDE and attach again", true)
	kindEnded  = newKind(1105, "not possible any more", "run remotedbg attach again, then attach the IDE", false)

	kindNoRequest = newKind(1201, "no such thread", "a thread is a request in flight: send a new one that the allow rules match", false)
	kindRunning   = newKind(1202, "not possible now", "pause it or wait for a stop", false)
	kindFrozen    = newKind(1203, "not possible now", "continue or step it", false)
	kindStep      = newKind(1204, "cannot resume the request", "try continue, or disconnect to let it go on", true)
	kindPause     = newKind(1205, "cannot pause the request", "set a breakpoint on a line it still has to pass", true)

	kindStack      = newKind(1301, "cannot produce the stack trace", "step once and look again", false)
	kindStale      = newKind(1302, "stale reference", "the request has gone on since: ask for stackTrace again at its next stop", false)
	kindReference  = newKind(1303, "unknown reference", "use an id from a response of this session", false)
	kindVariables  = newKind(1304, "cannot read the variables", "step once and look again", false)
	kindMapTooFar  = newKind(1305, "cannot list so deep into a map", "evaluate m[key] for the entry you need", false)
	kindInspection = newKind(1306, "inspection failed", "the service goes on: try another frame or variable", false)

	kindNoneFrozen  = newKind(1307, "nothing to look at", "wait for a stop: the service is only looked into while a request of it is frozen", false)
	kindMemory      = newKind(1308, "cannot read memory", "use a memoryReference of a variable, or an address as a number", false)
	kindWrite       = newKind(1309, "cannot write memory", "write to variables of the service: its program text and what is not mapped stay as they are", true)
	kindDisassemble = newKind(1310, "cannot disassemble", "use the instructionPointerReference of a frame", false)
	kindNoPanic     = newKind(1311, "no exception", "exceptionInfo tells of a panic that is under way in a stopped request", false)
	kindAssign      = newKind(1312, "cannot set the value", "set a variable that is kept in memory to a value of its type", true)
	kindSourceText  = newKind(1313, "no source text", "open the file on your side and map it with substitutePath", false)

	kindStatus = newKind(1390, "cannot tell the status", "look at what the agent (remotedbg attach) prints", false)

	kindEvaluate = newKind(1401, "cannot evaluate", "use variables of the selected frame, selectors, indexing, conversions and operators", false)
	kindNoCalls  = newKind(1402, "no function is called here", "call it in the debug console", false)
	kindNoFrame  = newKind(1403, "no frame to evaluate in", "select a frame of a stopped request", false)
	kindPanicked = newKind(1405, "the function has panicked", "the request stands where it was: the panic went no further", false)
	kindDlv      = newKind(1404, "dlv command refused", "type dlv help in the debug console for what there is", false)

	kindSource      = newKind(1501, "source without a path", "set breakpoints in files on disk", false)
	kindBreakpoints = newKind(1502, "cannot set breakpoints", "look at what the agent (remotedbg attach) prints", true)
	kindData        = newKind(1503, "cannot watch", "use a condition on a breakpoint", false)
)

// because makes the error of this kind; cause may be nil.
func (k *kind) because(cause error) *failure { return &failure{kind: k, cause: cause} }

// becauseOf is because with the cause in words.
func (k *kind) becauseOf(cause string) *failure { return k.because(errors.New(cause)) }

// failure is an error on its way to a client.
type failure struct {
	*kind
	cause error
	quiet bool // do not show a dialog, whatever the kind says
}

func (f *failure) Error() string {
	var b strings.Builder
	b.WriteString("remotedbg: ")
	b.WriteString(f.what)
	if f.cause != nil {
		b.WriteString(": ")
		b.WriteString(strings.TrimPrefix(f.cause.Error(), "remotedbg: "))
	}
	return b.String()
}

func (f *failure) Unwrap() error { return f.cause }

// message is the failure as the protocol puts it.
func (f *failure) message() *dap.ErrorMessage {
	return &dap.ErrorMessage{
		Id:       f.id,
		Format:   f.Error() + " (" + f.hint + ")",
		ShowUser: f.show && !f.quiet,
	}
}

// asFailure makes any error one that can be sent.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return kindInternal.because(err)
}
