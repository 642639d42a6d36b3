package forward

import (
	"io"
	"os"
)

// sshAgentAt is where the ssh-agent of Windows listens, unless another one is named.
func sshAgentAt() string {
	if path := os.Getenv("SSH_AUTH_SOCK"); path != "" {
		return path
	}
	return `\\.\pipe\openssh-ssh-agent`
}

// dialSSHAgent opens a named pipe, which is a file there. The protocol is one of
// questions and answers, so that nothing reads and writes at once.
func dialSSHAgent(path string) (io.ReadWriteCloser, error) { return os.OpenFile(path, os.O_RDWR, 0) }
