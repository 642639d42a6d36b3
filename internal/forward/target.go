package forward

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/remotedbg/remotedbg/internal/invite"
)

// Options are what a target does not say itself.
type Options struct {
	PKI PKI
	SSH SSHOptions
	Log func(string) // for people; required
}

// Parse reads a target and makes its route:
//
//	HOST:PORT#INVITATION         TLS, with what remotedbg attach printed
//	HOST:PORT                    TLS, with the certificates of Options.PKI
//	ssh://[USER@]HOST[:PORT]/    the one agent of that host, over ssh
//	ssh://[USER@]HOST/PATH       the agent that listens on that Unix socket
//	unix:///PATH                 the same on this machine
//
// It connects to nothing. What is wrong with the target is an *Error.
func Parse(target string, o Options) (Route, error) {
	scheme, rest, hasScheme := strings.Cut(target, "://")
	switch {
	case hasScheme && scheme == "unix":
		if !path.IsAbs(rest) || o.PKI.given() {
			return nil, badTarget(target, "a Unix socket is an absolute path, and needs no certificates", "write unix:///run/user/1000/remotedbg/4711.sock")
		}
		return &unixRoute{path: rest}, nil
	case hasScheme && scheme == "ssh":
		return parseSSH(target, o)
	case hasScheme:
		return nil, badTarget(target, fmt.Sprintf("nothing is reached by %s://", scheme), "write HOST:PORT#INVITATION, ssh://HOST/ or unix:///PATH")
	case strings.Contains(target, "#"):
		if o.PKI.given() {
			return nil, badTarget(redact(target), "an invitation brings its own certificates", "leave --tls-cert, --tls-key, --ca and --server-name away")
		}
		link, err := invite.Parse(target)
		if err != nil {
			return nil, &Error{Err: err, Advice: "quote it: connect 'HOST:PORT#…'"}
		}
		return &invitedRoute{link: link}, nil
	}
	return parseTLS(target, o)
}

// redact cuts the secret off.
func redact(target string) string {
	shown, _, _ := strings.Cut(target, "#")
	return shown + "#…"
}

func badTarget(target, why, advice string) error {
	return &Error{Err: fmt.Errorf("remotedbg: target %s: %s", target, why), Advice: advice}
}

// parseSSH reads ssh://[USER@]HOST[:PORT][/PATH], the form of RFC 3986 that curl
// and git use too.
func parseSSH(target string, o Options) (Route, error) {
	if o.PKI.given() {
		return nil, badTarget(target, "ssh needs no certificates", "leave --tls-cert, --tls-key, --ca and --server-name away")
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return nil, badTarget("ssh://…", errors.Unwrap(err).Error(), "write ssh://USER@HOST:PORT/PATH")
	case u.Hostname() == "":
		return nil, badTarget(target, "the host is missing", "write ssh://USER@HOST:PORT/PATH")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, badTarget("ssh://"+u.Host, "it goes on after the path", "write ssh://USER@HOST:PORT/PATH")
	}
	if _, hasPassword := u.User.Password(); hasPassword {
		return nil, badTarget("ssh://"+u.Host, "it has a password in it", "use a key, in ssh-agent")
	}
	// Option injection into tools is not a danger here, but a host that begins
	// with a dash is nothing else.
	if strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-") {
		return nil, badTarget(target, "a name begins with a dash", "write ssh://USER@HOST:PORT/PATH")
	}
	socket := u.Path
	if socket == "/" {
		socket = ""
	}
	return &sshRoute{
		named:  hostName{user: u.User.Username(), host: u.Hostname(), port: u.Port()},
		given:  socket,
		cfg:    o.SSH,
		log:    o.Log,
		target: "ssh://" + u.User.String() + strings.Repeat("@", min(1, len(u.User.String()))) + u.Host,
	}, nil
}

func parseTLS(target string, o Options) (Route, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil || host == "" {
		return nil, badTarget(target, "neither HOST:PORT nor a URL", "paste the whole line that remotedbg attach printed, or write ssh://HOST/ or unix:///PATH")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, badTarget(target, fmt.Sprintf("%q is not a port", port), "write HOST:PORT with a port from 1 to 65535")
	}
	if !o.PKI.given() {
		return nil, badTarget(target, "there is nothing to prove with who you are",
			"paste the whole line that remotedbg attach printed, with # and what follows, in quotes\nwith certificates of your own: --tls-cert FILE --tls-key FILE --ca FILE\nover ssh: remotedbg connect ssh://"+host+"/")
	}
	config, err := o.PKI.config(host)
	if err != nil {
		return nil, err
	}
	return &tlsRoute{addr: target, config: config}, nil
}
