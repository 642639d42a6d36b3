package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// AgentInfo is an agent of a host, as remotedbg agents --json prints it, one a line.
type AgentInfo struct {
	Socket  string    `json:"socket"`         // path of the Unix socket
	PID     int       `json:"pid"`            // of the service
	Name    string    `json:"name,omitempty"` // of the service; empty if it cannot be told
	Expires time.Time `json:"expires,omitzero"`
}

func (a AgentInfo) String() string {
	text := fmt.Sprintf("pid %d", a.PID)
	if a.Name != "" {
		text = fmt.Sprintf("%s (pid %d)", a.Name, a.PID)
	}
	if !a.Expires.IsZero() {
		text += ", until " + a.Expires.Local().Format(time.TimeOnly)
	}
	return text
}

// listCommand finds the program also where a login shell would: sshd gives commands
// a short PATH, and tools of developers are often elsewhere. It is for a POSIX shell.
const listCommand = `PATH="$PATH:/usr/local/bin:/usr/local/sbin:/opt/remotedbg/bin:$HOME/go/bin:$HOME/.local/bin:$HOME/bin" exec remotedbg agents --json`

// maxAnswer bounds what a host may say about its agents.
const maxAnswer = 64 << 10

// askAgents runs remotedbg agents on the host.
func askAgents(ctx context.Context, client *ssh.Client) ([]AgentInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	session, err := client.NewSession()
	if err != nil {
		return nil, &Error{Err: fmt.Errorf("remotedbg: find the agent: %w", err), Advice: "name its socket: ssh://HOST/PATH"}
	}
	defer session.Close()
	defer context.AfterFunc(ctx, func() { session.Close() })()
	var said, wrong bounded
	session.Stdout, session.Stderr = &said, &wrong
	if err := session.Run(listCommand); err != nil {
		if cause := ctx.Err(); cause != nil {
			err = cause
		}
		if text := strings.TrimSpace(printable(string(wrong.kept))); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return nil, &Error{
			Err:    fmt.Errorf("remotedbg: find the agent: run 'remotedbg agents' on the host: %w", err),
			Advice: "name its socket, which remotedbg attach has printed: ssh://HOST/PATH",
		}
	}
	return readAgents(said.kept)
}

func readAgents(text []byte) ([]AgentInfo, error) {
	var agents []AgentInfo
	for lines := json.NewDecoder(bytes.NewReader(text)); ; {
		var one AgentInfo
		err := lines.Decode(&one)
		if errors.Is(err, io.EOF) {
			return agents, nil
		}
		if err != nil || one.Socket == "" || one.Socket[0] != '/' {
			return nil, &Error{Err: errors.New("remotedbg: find the agent: what 'remotedbg agents' says on the host is not a list of agents"), Advice: "use the same version of remotedbg on both sides, or name the socket: ssh://HOST/PATH"}
		}
		one.Name, one.Socket = printable(one.Name), printable(one.Socket)
		agents = append(agents, one)
	}
}

// theOne is the only agent of a list.
func theOne(target string, agents []AgentInfo) (AgentInfo, error) {
	switch len(agents) {
	case 0:
		return AgentInfo{}, &Error{
			Err:    fmt.Errorf("remotedbg: find the agent: %s has none that you may use", target),
			Advice: "run remotedbg attach there first, as the user that you log in as\nif another user has started it with --allow-user, name the socket that it has printed: " + target + "/PATH",
		}
	case 1:
		return agents[0], nil
	}
	lines := make([]string, len(agents))
	for i, a := range agents {
		lines[i] = fmt.Sprintf("remotedbg connect %s%s   # %s", target, a.Socket, a)
	}
	return AgentInfo{}, &Error{
		Err:    fmt.Errorf("remotedbg: find the agent: %s has %d", target, len(agents)),
		Advice: strings.Join(lines, "\n"),
	}
}

// bounded keeps the first maxAnswer bytes that are written to it.
type bounded struct{ kept []byte } // bytes.Buffer has a ReadFrom, which knows no bound

func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), maxAnswer-len(b.kept))]...)
	return len(p), nil
}

// printable keeps of a text what cannot move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}
