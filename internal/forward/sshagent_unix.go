//go:build !windows

package forward

import (
	"io"
	"net"
	"os"
)

// sshAgentAt is where ssh-agent listens: ssh-agent(1), SSH_AUTH_SOCK.
func sshAgentAt() string { return os.Getenv("SSH_AUTH_SOCK") }

func dialSSHAgent(path string) (io.ReadWriteCloser, error) { return net.Dial("unix", path) }
