//go:build linux && amd64

package dlvrpc

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/session"
)

// protocol is this front end's name in the audit.
const protocol = "json-rpc"

// needs is the role that each method takes. What nobody may do is refused by the
// method itself, whatever the role. What Command
// takes depends on the movement: see commandNeeds.
var needs = map[string]access.Role{
	"Ancestors":                 access.Observe,
	"AttachedToExistingProcess": access.Observe,
	"BuildID":                   access.Observe,
	"CancelDownloads":           access.Observe,
	"DebugInfoDirectories":      access.Observe,
	"Detach":                    access.Observe,
	"Disassemble":               access.Observe,
	"Eval":                      access.Observe,
	"ExamineMemory":             access.Observe,
	"FindLocation":              access.Observe,
	"FollowExecEnabled":         access.Observe,
	"FunctionReturnLocations":   access.Observe,
	"GetBreakpoint":             access.Observe,
	"GetBufferedTracepoints":    access.Observe,
	"GetEvents":                 access.Observe,
	"GetThread":                 access.Observe,
	"GetVersion":                access.Observe,
	"GuessSubstitutePath":       access.Observe,
	"IsMulticlient":             access.Observe,
	"LastModified":              access.Observe,
	"ListBreakpoints":           access.Observe,
	"ListDynamicLibraries":      access.Observe,
	"ListFunctionArgs":          access.Observe,
	"ListFunctions":             access.Observe,
	"ListGoroutines":            access.Observe,
	"ListLocalVars":             access.Observe,
	"ListPackageVars":           access.Observe,
	"ListPackagesBuildInfo":     access.Observe,
	"ListRegisters":             access.Observe,
	"ListSources":               access.Observe,
	"ListTargets":               access.Observe,
	"ListThreads":               access.Observe,
	"ListTypes":                 access.Observe,
	"ProcessPid":                access.Observe,
	"Recorded":                  access.Observe,
	"SetApiVersion":             access.Observe,
	"Stacktrace":                access.Observe,
	"State":                     access.Observe,
	"TypeInfo":                  access.Observe,

	"Command": access.Observe, // see commandNeeds

	"AmendBreakpoint":  access.Control,
	"CancelNext":       access.Control,
	"ClearBreakpoint":  access.Control,
	"CreateBreakpoint": access.Control,
	"CreateWatchpoint": access.Control,
	"ToggleBreakpoint": access.Control,

	"Set": access.Mutate,

	// Refused whatever the role.
	"Checkpoint":               access.Observe,
	"ClearCheckpoint":          access.Observe,
	"CreateEBPFTracepoint":     access.Observe,
	"DownloadLibraryDebugInfo": access.Observe,
	"DumpCancel":               access.Observe,
	"DumpStart":                access.Observe,
	"DumpWait":                 access.Observe,
	"FollowExec":               access.Observe,
	"ListCheckpoints":          access.Observe,
	"Restart":                  access.Observe,
	"SetExecutionPoint":        access.Observe,
	"StopRecording":            access.Observe,
}

// commandNeeds is the same for the movements of Command; those that are not here
// are refused or unknown.
var commandNeeds = map[string]access.Role{
	api.Continue:                   access.Observe,
	api.DirectionCongruentContinue: access.Observe,
	api.Halt:                       access.Observe,
	api.SwitchGoroutine:            access.Observe,
	api.SwitchThread:               access.Observe,

	api.Next:            access.Control,
	api.NextInstruction: access.Control,
	api.Step:            access.Control,
	api.StepInstruction: access.Control,
	api.StepOut:         access.Control,

	api.Call: access.Mutate,
}

// needOf is the role that a call takes; arg points to its arguments. A method that
// is missing in the table takes a role that nobody has.
func (m *method) needOf(arg any) access.Role {
	if a, ok := arg.(*api.DebuggerCommand); ok {
		if role, ok := commandNeeds[a.Name]; ok {
			return role
		}
	}
	return needs[m.name]
}

// admit judges whether the client's role allows a call and writes the call down.
// What changes the service is on the disk before it is done, or it is not done.
func (c *conn) admit(m *method, arg any) error {
	need := m.needOf(arg)
	if !c.who.Role.May(need) {
		err := fmt.Errorf("remotedbg: %s needs the role %s and this connection has %s: attach the agent with --role %s, or connect as somebody who has it",
			m.title(arg), need, c.who.Role, need)
		c.recordRefused(m, arg, need.String(), err)
		return err
	}
	attrs := append(c.naming(m, arg), slog.Bool("mutates", need == access.Mutate))
	if need != access.Mutate {
		_ = c.audit.Record(audit.Command, attrs...) // the next line that can be written tells of its loss
		return nil
	}
	if err := c.audit.RecordSync(audit.Command, attrs...); err != nil {
		err = fmt.Errorf("remotedbg: %s: not written down, so not done: %w", m.title(arg), err)
		c.recordRefused(m, arg, need.String(), err)
		return err
	}
	return nil
}

// recordRefused writes down that a call is not carried out; need is the role that
// it would take, or "never".
func (c *conn) recordRefused(m *method, arg any, need string, why error) {
	_ = c.audit.Record(audit.Refused, append(c.naming(m, arg), slog.String("needs", need), slog.Any("reason", why))...)
}

// recordUnknown writes down that somebody asked for what does not exist.
func (c *conn) recordUnknown(name string, why error) {
	_ = c.audit.Record(audit.Refused, slog.String("protocol", protocol), slog.String("command", name), slog.String("needs", never), slog.Any("reason", why))
}

// recordOutcome writes down that a method refused what nobody may do.
func (c *conn) recordOutcome(m *method, arg any, err error) {
	var r *refusal
	if errors.As(err, &r) {
		c.recordRefused(m, arg, never, err)
	}
}

// never is the role for what nobody may do.
const never = "never"

// title is the method, and of Command what it is to do.
func (m *method) title(arg any) string {
	if a, ok := arg.(*api.DebuggerCommand); ok {
		return m.name + " " + a.Name
	}
	return m.name
}

// naming is a call and the service's request that it is about.
func (c *conn) naming(m *method, arg any) []slog.Attr {
	attrs := []slog.Attr{slog.String("protocol", protocol), slog.String("command", m.title(arg)), slog.Any("arguments", arg)}
	if id := c.world.about(goroutineOf(arg)); id != 0 {
		attrs = append(attrs, slog.Int("request", int(id)))
	}
	return attrs
}

// goroutineOf is the goroutine that a call names; 0 if none, which is the current
// one. Delve's arguments have it in four places.
func goroutineOf(arg any) int64 {
	switch a := arg.(type) {
	case *api.DebuggerCommand:
		return a.GoroutineID
	case *rpc2.StacktraceIn:
		return a.Id
	case *rpc2.AncestorsIn:
		return a.GoroutineID
	}
	v := reflect.ValueOf(arg).Elem()
	if v.Kind() != reflect.Struct {
		return 0
	}
	switch scope := v.FieldByName("Scope"); {
	case !scope.IsValid():
	case scope.Type() == reflect.TypeFor[api.EvalScope]():
		return scope.Interface().(api.EvalScope).GoroutineID
	case scope.Type() == reflect.TypeFor[*api.EvalScope]() && !scope.IsNil():
		return scope.Interface().(*api.EvalScope).GoroutineID
	}
	return 0
}

// about is the stopped request that a goroutine is; of none, the current one. 0 if
// there is none such.
func (w *world) about(goroutine int64) session.RequestID {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.stops {
		if goroutine > 0 && s.goroutine == goroutine || goroutine <= 0 && s.id == w.current {
			return s.id
		}
	}
	return 0
}
