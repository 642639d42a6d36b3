package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys are the keys of hosts that the user has accepted. Nothing is added to
// them here, and an unknown key is never accepted: whoever stands between could show
// any.
type hostKeys struct {
	files []string // those that exist
	where string   // where a line would be added
	known ssh.HostKeyCallback
}

// readHostKeys reads known_hosts files (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). Those
// that do not exist are left out.
func readHostKeys(files []string) (*hostKeys, error) {
	h := &hostKeys{where: files[0]}
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			h.files = append(h.files, file)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{Err: fmt.Errorf("remotedbg: ssh: host keys: %w", err), Advice: "make it readable, or name another file with --known-hosts"}
		}
	}
	var err error
	if h.known, err = knownhosts.New(h.files...); err != nil {
		return nil, &Error{Err: fmt.Errorf("remotedbg: ssh: host keys: %w", err), Advice: "correct or remove that line"}
	}
	return h, nil
}

// check is a ssh.HostKeyCallback. Its error is an *Error.
func (h *hostKeys) check(addr string, remote net.Addr, key ssh.PublicKey) error {
	err := h.known(addr, remote, key)
	if err == nil {
		return nil
	}
	host := knownhosts.Normalize(addr)
	seen := fmt.Sprintf("%s key %s", key.Type(), ssh.FingerprintSHA256(key))
	var unknown *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		return &Error{
			Err:    fmt.Errorf("remotedbg: ssh: the key of %s has been revoked (%s:%d)", host, revoked.Revoked.Filename, revoked.Revoked.Line),
			Advice: "do not go on: whoever shows this key may not be the host",
		}
	case errors.As(err, &unknown) && len(unknown.Want) > 0:
		one := unknown.Want[0]
		return &Error{
			Err:    fmt.Errorf("remotedbg: ssh: the key of %s is not the one that is known (%s:%d): it shows the %s", host, one.Filename, one.Line, seen),
			Advice: "somebody may stand between you and the host: do not go on before you know why\nif the host has a new key, remove the old one: ssh-keygen -R '" + host + "'",
		}
	case errors.As(err, &unknown):
		return &Error{
			Err: fmt.Errorf("remotedbg: ssh: %s is not a known host; it shows the %s", host, seen),
			Advice: "compare this with what the host's owner says (there: ssh-keygen -lf /etc/ssh/ssh_host_" + shortType(key.Type()) + "_key.pub)\n" +
				"if it is the same, add this line to " + h.where + ": " + knownhosts.Line([]string{host}, key) + "\n" +
				"or log in with ssh once, which asks and adds it",
		}
	}
	return &Error{Err: fmt.Errorf("remotedbg: ssh: the key of %s: %w", host, err), Advice: "look at the host's lines in " + h.where}
}

// shortType is the type of a key as the file names of sshd have it.
func shortType(keyType string) string {
	switch {
	case strings.Contains(keyType, "ecdsa"):
		return "ecdsa"
	case strings.Contains(keyType, "rsa"):
		return "rsa"
	}
	return "ed25519"
}

// certificateAlgorithms are those of hosts whose key an authority has signed.
var certificateAlgorithms = []string{
	ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
	ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
}

// plainAlgorithms are those of hosts whose key is known itself.
var plainAlgorithms = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, // SHA-1 is not among them: RFC 8332
}

// algorithms are those that the host is to be asked for: of the keys that are known.
// A host has several keys, and one that shows another than the known one would look
// like somebody in between. A host that is not known is asked for a key that a line
// can be made of.
func (h *hostKeys) algorithms(addr string) []string {
	var unknown *knownhosts.KeyError
	// No key is equal to this one, so that the answer names all that are known.
	if err := h.known(addr, noAddr{}, noKey{}); !errors.As(err, &unknown) || len(unknown.Want) == 0 {
		return plainAlgorithms
	}
	var list []string
	for _, one := range unknown.Want {
		switch kind := one.Key.Type(); {
		case isAuthority(one):
			list = append(list, certificateAlgorithms...)
		case kind == ssh.KeyAlgoRSA:
			list = append(list, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			list = append(list, kind)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// isAuthority says whether a line names the key of an authority. The library does
// not tell.
func isAuthority(k knownhosts.KnownKey) bool {
	f, err := os.Open(k.Filename)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if n == k.Line {
			return strings.HasPrefix(strings.TrimSpace(lines.Text()), "@cert-authority")
		}
	}
	return false
}

// noKey is no host's key.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.ErrUnsupported }

// noAddr is where noKey comes from.
type noAddr struct{}

func (noAddr) Network() string { return "tcp" }
func (noAddr) String() string  { return "0.0.0.0:0" }
