//go:build linux && amd64

package dlvrpc

import (
	"errors"
	"fmt"

	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// refuse is the answer to what is never done here, with the reason.
func refuse(what string, why error) error { return &refusal{what, why} }

// refusal is the error of what is never done, which the audit tells from others.
type refusal struct {
	what string
	why  error
}

func (r *refusal) Error() string { return fmt.Sprintf("remotedbg: %s is refused: %v", r.what, r.why) }
func (r *refusal) Unwrap() error { return r.why }

// Reasons that several calls share.
var (
	errRecording = errors.New("there is no recording: the service runs live")
	errAttached  = errors.New("the service was not started by the debugger and is not its to start again: deploy it, and attach to the new process")
	errDump      = errors.New("a core dump needs the whole service to stand still: use gcore while nobody depends on it")
	errSymbols   = errors.New("symbols are read from the executable alone, once, when the agent attaches")
)

// Restart is refused.
func (s service) Restart(arg rpc2.RestartIn, _ *rpc2.RestartOut) error {
	if arg.Rebuild {
		return refuse("rebuild", errAttached)
	}
	return refuse("restart", errAttached)
}

// SetExecutionPoint is refused.
func (s service) SetExecutionPoint(rpc2.SetExecutionPointIn, *rpc2.SetExecutionPointOut) error {
	return refuse("a jump", errors.New("a request goes on where the Go runtime has parked it, and nowhere else"))
}

// CreateEBPFTracepoint is refused.
func (s service) CreateEBPFTracepoint(rpc2.CreateEBPFTracepointIn, *rpc2.CreateEBPFTracepointOut) error {
	return refuse("an eBPF tracepoint", errors.New("it would be hit by everybody's requests; set an ordinary tracepoint, which slows down only your own"))
}

// Checkpoint is refused, as are its relatives.
func (s service) Checkpoint(rpc2.CheckpointIn, *rpc2.CheckpointOut) error {
	return refuse("a checkpoint", errRecording)
}

// ListCheckpoints is refused.
func (s service) ListCheckpoints(rpc2.ListCheckpointsIn, *rpc2.ListCheckpointsOut) error {
	return refuse("a list of checkpoints", errRecording)
}

// ClearCheckpoint is refused.
func (s service) ClearCheckpoint(rpc2.ClearCheckpointIn, *rpc2.ClearCheckpointOut) error {
	return refuse("clearing a checkpoint", errRecording)
}

// StopRecording is refused.
func (s service) StopRecording(rpc2.StopRecordingIn, *rpc2.StopRecordingOut) error {
	return refuse("an end of the recording", errRecording)
}

// DumpStart is refused, as are its relatives.
func (s service) DumpStart(rpc2.DumpStartIn, *rpc2.DumpStartOut) error {
	return refuse("a core dump", errDump)
}

// DumpWait is refused.
func (s service) DumpWait(rpc2.DumpWaitIn, *rpc2.DumpWaitOut) error {
	return refuse("a core dump", errDump)
}

// DumpCancel is refused.
func (s service) DumpCancel(rpc2.DumpCancelIn, *rpc2.DumpCancelOut) error {
	return refuse("a core dump", errDump)
}

// FollowExec is refused, unless it is to be off.
func (s service) FollowExec(arg rpc2.FollowExecIn, _ *rpc2.FollowExecOut) error {
	if !arg.Enable {
		return nil
	}
	return refuse("follow-exec", errors.New("an agent is attached to one process and its gate: start another agent for the child"))
}

// DebugInfoDirectories lists none, and none can be set.
func (s service) DebugInfoDirectories(arg rpc2.DebugInfoDirectoriesIn, out *rpc2.DebugInfoDirectoriesOut) error {
	out.List = []string{}
	if !arg.Set {
		return nil
	}
	return refuse("a directory of debug information", errSymbols)
}

// CancelDownloads has nothing to cancel.
func (s service) CancelDownloads(rpc2.CancelDownloadsIn, *rpc2.CancelDownloadsOut) error { return nil }

// DownloadLibraryDebugInfo is refused.
func (s service) DownloadLibraryDebugInfo(arg rpc2.DownloadLibraryDebugInfoIn, _ *rpc2.DownloadLibraryDebugInfoOut) error {
	if arg.WithEvents {
		s.events.put(api.EventDownloadLibraryInfoDone) // the client waits for it
	}
	return refuse("a download of debug information", errSymbols)
}
