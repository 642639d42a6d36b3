package forward

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/kevinburke/ssh_config"
)

// hostName is a host as the target names it: what is empty is left to ssh's
// configuration.
type hostName struct{ user, host, port string }

// settings are how a host is reached.
type settings struct {
	name       hostName
	user       string
	host, port string
	keyAlias   string // under which name its key is known; empty: that of the host
	agentAt    string
	identities []string
	hosts      *hostKeys
}

func (s *settings) addr() string { return net.JoinHostPort(s.host, s.port) }

// hostKeyAddr is the name that the host's key is looked up by.
func (s *settings) hostKeyAddr() string {
	return net.JoinHostPort(cmp.Or(s.keyAlias, s.host), s.port)
}

func (s *settings) keys() *keys { return &keys{agentAt: s.agentAt, files: s.identities} }

// settingsFor joins what the target says, what the flags say, and what
// ~/.ssh/config says about the host: HostName, User, Port, IdentityFile,
// IdentityAgent, UserKnownHostsFile and HostKeyAlias of ssh_config(5). A host behind
// another (ProxyJump, ProxyCommand) is refused. Everything else is not looked at.
func (o SSHOptions) settingsFor(name hostName, log func(string)) (*settings, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, fmt.Errorf("remotedbg: ssh: %w", err)
	}
	config, err := readSSHConfig(filepath.Join(home, ".ssh", "config"))
	if err != nil {
		log(fmt.Sprintf("ssh configuration: not used: %v", err))
	}
	get := func(key string) string {
		if config == nil {
			return ""
		}
		value, err := config.Get(name.host, key)
		if err != nil {
			log(fmt.Sprintf("ssh configuration: %s: %v", key, err))
		}
		return strings.Trim(value, `"`)
	}
	for _, key := range []string{"ProxyJump", "ProxyCommand"} {
		if way := get(key); way != "" && way != "none" {
			return nil, &Error{
				Err:    fmt.Errorf("remotedbg: ssh to %s: it is reached by way of another host (%s %s), which this command cannot", name.host, key, way),
				Advice: "let ssh do it: ssh -N -L 127.0.0.1:2345:SOCKET " + name.host + ", and connect the IDE to port 2345\n'ssh " + name.host + " remotedbg agents' shows the SOCKET",
			}
		}
	}
	s := &settings{
		name:     name,
		host:     cmp.Or(strings.ReplaceAll(get("HostName"), "%h", name.host), name.host),
		port:     cmp.Or(name.port, get("Port"), "22"),
		user:     cmp.Or(name.user, get("User"), ourUser()),
		keyAlias: get("HostKeyAlias"),
		agentAt:  sshAgentAt(),
	}
	if path := get("IdentityAgent"); path == "none" {
		s.agentAt = ""
	} else if path != "" && path != "SSH_AUTH_SOCK" {
		s.agentAt = expand(path, home)
	}
	s.identities = o.identities(config, name.host, home)
	s.hosts, err = readHostKeys(o.knownHosts(get("UserKnownHostsFile"), home))
	return s, err
}

// identities are the files of private keys to try, as ssh does.
func (o SSHOptions) identities(config *ssh_config.Config, host, home string) []string {
	if o.Identity != "" {
		return []string{o.Identity}
	}
	var files []string
	if config != nil {
		named, _ := config.GetAll(host, "IdentityFile") // fails as Get does
		for _, file := range named {
			files = append(files, expand(strings.Trim(file, `"`), home))
		}
	}
	if len(files) == 0 {
		for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
			files = append(files, filepath.Join(home, ".ssh", name))
		}
	}
	return files
}

// knownHosts are the files of host keys, the user's first.
func (o SSHOptions) knownHosts(configured, home string) []string {
	if o.KnownHosts != "" {
		return []string{o.KnownHosts}
	}
	var files []string
	for _, file := range strings.Fields(configured) {
		files = append(files, expand(file, home))
	}
	if len(files) == 0 {
		files = []string{filepath.Join(home, ".ssh", "known_hosts"), filepath.Join(home, ".ssh", "known_hosts2")}
	}
	return append(files, "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
}

// expand replaces ~/ and %d, the home directory.
func expand(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return strings.ReplaceAll(path, "%d", home)
}

// readSSHConfig is nil if there is none.
func readSSHConfig(path string) (*ssh_config.Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ssh_config.Decode(f)
}

// ourUser is the name of the user here, which ssh takes for the one there.
func ourUser() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	// DOMAIN\user on Windows.
	return u.Username[strings.LastIndex(u.Username, `\`)+1:]
}
