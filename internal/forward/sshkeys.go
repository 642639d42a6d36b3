package forward

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// keys are what the user can log in with.
type keys struct {
	agentAt string   // socket of ssh-agent, or its pipe; empty: there is none
	files   []string // of private keys

	agent io.Closer
	tried []string // what was found, for the advice
	wrong []string // what could not be used, and why
}

// signers is called once, when the host asks for a key. All go into one list: the
// library tries each method of authentication once.
func (k *keys) signers() ([]ssh.Signer, error) {
	var list []ssh.Signer
	for _, file := range k.files {
		signer, err := readKey(file)
		switch {
		case err == nil:
			list = append(list, signer)
			k.tried = append(k.tried, file)
		case !errors.Is(err, os.ErrNotExist):
			k.wrong = append(k.wrong, fmt.Sprintf("%s: %v", file, err))
		}
	}
	if k.agentAt == "" {
		return list, nil
	}
	// The agent's keys come first, as with ssh; sshd counts each that it refuses
	// (sshd_config(5), MaxAuthTries).
	conn, err := dialSSHAgent(k.agentAt)
	if err != nil {
		k.wrong = append(k.wrong, fmt.Sprintf("ssh-agent: %v", err))
		return list, nil
	}
	k.agent = conn
	ofAgent, err := agent.NewClient(conn).Signers()
	if err != nil {
		k.wrong = append(k.wrong, fmt.Sprintf("ssh-agent: %v", err))
		return list, nil
	}
	k.tried = append(k.tried, fmt.Sprintf("%d of ssh-agent", len(ofAgent)))
	return append(ofAgent, list...), nil
}

func (k *keys) close() {
	if k.agent != nil {
		k.agent.Close()
	}
}

// advice says what to do when no key was accepted.
func (k *keys) advice() string {
	if len(k.tried) == 0 && len(k.wrong) == 0 {
		return "there is no key to log in with: add one to ssh-agent (ssh-add), or name its file with --identity"
	}
	lines := []string{"the host accepts none of these keys: " + strings.Join(k.tried, ", ")}
	if len(k.tried) == 0 {
		lines = nil
	}
	for _, wrong := range k.wrong {
		lines = append(lines, "not tried: "+wrong)
	}
	return strings.Join(lines, "\n")
}

// readKey reads a private key that needs no passphrase.
func readKey(file string) (ssh.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, errors.New("it has a passphrase: add it to ssh-agent (ssh-add)")
	}
	return signer, err
}
