package invite

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// linkVersion is the first byte of an invitation. Whoever cannot read another one
// says so and tries nothing.
const linkVersion = 1

// maxLink bounds an invitation in bytes: a host name (RFC 1035 section 2.3.4), a
// port, and what we add.
const maxLink = 255 + 6 + 1 + 128

// linkSize is how many bytes an invitation's text stands for.
const linkSize = 1 + 4 + processSize + sha256.Size + secretSize

// alphabet is that of RFC 4648 section 5. The decoder would skip line breaks.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

const (
	processSize = 8
	secretSize  = 16
)

// A truncated hash is enough for the process: it tells one from another in a
// message for people, and the secret decides.
type processID [processSize]byte

// Process is what an invitation is bound to.
type Process struct {
	PID     int
	Start   uint64 // field 22 of /proc/PID/stat
	BuildID string // of the Go linker
}

// id stands for p in a link.
func (p Process) id() processID {
	sum := sha256.Sum256(fmt.Appendf(nil, "remotedbg process\x00%d\x00%d\x00%s", p.PID, p.Start, p.BuildID))
	return processID(sum[:processSize])
}

// Link is an invitation. It is immutable. Its String has no secret in it and may
// be logged.
type Link struct {
	Addr    string    // HOST:PORT, where the agent is to be reached
	Expires time.Time // in whole seconds; the agent's clock decides

	process processID
	server  [sha256.Size]byte // of the agent's certificate
	secret  [secretSize]byte
}

// errLink is what is wrong with a text that is no invitation. It never quotes it:
// with one character mistyped it would still give most of a secret away.
func errLink(why string) error {
	return fmt.Errorf("remotedbg: invitation: %s; copy the whole line that remotedbg attach printed, quoted if your shell takes # for a comment", why)
}

// Parse reads an invitation as Text writes it.
func Parse(text string) (Link, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxLink {
		return Link{}, errLink("it is too long")
	}
	addr, secret, ok := strings.Cut(text, "#")
	if !ok {
		return Link{}, errLink("it has no #")
	}
	if err := checkAddr(addr); err != nil {
		return Link{}, err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(secret)
	switch {
	case strings.ContainsFunc(secret, func(r rune) bool { return !strings.ContainsRune(alphabet, r) }):
		return Link{}, errLink("what follows the # has characters that none has")
	case len(secret) != base64.RawURLEncoding.EncodedLen(linkSize):
		return Link{}, errLink("what follows the # is cut off or too long, or of another version of remotedbg")
	case err != nil:
		return Link{}, errLink("it is mistyped")
	case raw[0] != linkVersion:
		return Link{}, errLink("it is of another version of remotedbg")
	}
	l := Link{Addr: addr}
	rest := raw[1:]
	l.Expires = time.Unix(int64(binary.BigEndian.Uint32(rest)), 0)
	rest = rest[4:]
	rest = rest[copy(l.process[:], rest):]
	rest = rest[copy(l.server[:], rest):]
	copy(l.secret[:], rest)
	return l, nil
}

func checkAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || strings.ContainsAny(host, "/ @\t") {
		return errLink("it does not begin with HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errLink("its port is not one")
	}
	return nil
}

// Text is the invitation as it is printed and pasted. It is a secret until it has
// been used.
func (l Link) Text() string {
	return l.Addr + "#" + base64.RawURLEncoding.EncodeToString(l.raw())
}

// raw is what the text after the # stands for.
func (l Link) raw() []byte {
	b := make([]byte, 0, linkSize)
	b = append(b, linkVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(l.Expires.Unix()))
	b = append(b, l.process[:]...)
	b = append(b, l.server[:]...)
	return append(b, l.secret[:]...)
}

// String names the invitation without its secret.
func (l Link) String() string { return "invitation to " + l.Addr }

// GoString is String: %#v would print the secret.
func (l Link) GoString() string { return l.String() }

// errNotBound: without exported keying material there is nothing that ties a proof
// to its connection.
var errNotBound = errors.New("remotedbg: invitation: the connection is not TLS 1.3")
