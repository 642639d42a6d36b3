//go:build !linux

package main

import (
	"fmt"
	"runtime"

	"github.com/remotedbg/remotedbg/internal/forward"
)

func listAgents() ([]forward.AgentInfo, error) {
	return nil, fmt.Errorf("agents runs on the host of a service and needs linux, this is %s", runtime.GOOS)
}
