//go:build linux && amd64

package dlvrpc

import (
	"errors"
	"fmt"

	"github.com/go-delve/delve/pkg/goversion"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/pkg/version"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

const apiVersion = 2

// GetVersion tells which Delve the answers are made with.
func (s service) GetVersion(_ api.GetVersionIn, out *api.GetVersionOut) error {
	out.DelveVersion = version.DelveVersion.String()
	out.APIVersion = apiVersion
	out.Backend = "remotedbg"
	out.MinSupportedVersionOfGo = fmt.Sprintf("%d.%d.0", goversion.MinSupportedVersionOfGoMajor, goversion.MinSupportedVersionOfGoMinor)
	out.MaxSupportedVersionOfGo = fmt.Sprintf("%d.%d.0", goversion.MaxSupportedVersionOfGoMajor, goversion.MaxSupportedVersionOfGoMinor)
	return wrap("version", s.sess.Symbols(func(bi *proc.BinaryInfo) error {
		out.TargetGoVersion = bi.Producer()
		return nil
	}))
}

// SetApiVersion accepts version 2.
//
//lint:ignore ST1003 it is the name on the wire
func (s service) SetApiVersion(arg api.SetAPIVersionIn, _ *api.SetAPIVersionOut) error {
	if arg.APIVersion != apiVersion {
		return fmt.Errorf("remotedbg: API version %d is not spoken: set the client to version %d (\"apiVersion\": 2 in a launch.json)", arg.APIVersion, apiVersion)
	}
	return nil
}

// ProcessPid is the service's.
func (s service) ProcessPid(_ rpc2.ProcessPidIn, out *rpc2.ProcessPidOut) error {
	out.Pid = s.cfg.PID
	return nil
}

// AttachedToExistingProcess is always so.
func (s service) AttachedToExistingProcess(_ rpc2.AttachedToExistingProcessIn, out *rpc2.AttachedToExistingProcessOut) error {
	out.Answer = true
	return nil
}

// IsMulticlient is always so: each client has breakpoints and requests of its
// own, and the agent outlives it.
func (s service) IsMulticlient(_ rpc2.IsMulticlientIn, out *rpc2.IsMulticlientOut) error {
	out.IsMulticlient = true
	return nil
}

// Recorded is never so.
func (s service) Recorded(rpc2.RecordedIn, *rpc2.RecordedOut) error { return nil }

// FollowExecEnabled is never so.
func (s service) FollowExecEnabled(rpc2.FollowExecEnabledIn, *rpc2.FollowExecEnabledOut) error {
	return nil
}

// Detach ends the client's session: its requests go on and its breakpoints go.
func (s service) Detach(arg rpc2.DetachIn, _ *rpc2.DetachOut) error {
	if arg.Kill {
		return refuse("kill", errors.New("the service is not the debugger's to end; detach without killing it (in dlv: exit, and answer n)"))
	}
	s.detached = true
	s.close()
	return nil
}
