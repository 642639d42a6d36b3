package main

import (
	"net/netip"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	defaultFor = "15m"
	maxFor     = 24 * time.Hour
)

// attachFlags are the flags as they were typed. All are text, so that every
// mistake is found by check and reported together; pflag's typed flags end the
// run at the first.
type attachFlags struct {
	pid, name, method, path, duration string
	allow, headers                    []string
	listen                            listenFlags
	budgets                           budgetFlags
	rights                            rightsFlags
	redact                            redactFlags
	requireToken, whoami, queueStops  bool
	given                             func(flag string) bool // whether it was typed; nil: none was
}

// attachOptions are the flags once they are known to be right.
type attachOptions struct {
	pid  int    // 0 if name is given
	name string // empty if pid is given

	allow       []netip.Prefix // at least one
	method      string         // these four narrow every prefix of allow; empty: any
	path        string
	headerName  string // canonical
	headerValue string

	duration time.Duration
	listen   listenOptions
	budgets  budgets
	rights   rights
	redact   redaction

	requireToken bool
	queueStops   bool
	whoami       bool // only show addresses: allow and what follows it is empty
}

func newAttachCommand() *cobra.Command {
	var f attachFlags
	cmd := &cobra.Command{
		Use:   "attach (--pid N | --name NAME) --allow CIDR",
		Short: "Debug the requests of allowed clients in a running service",
		Long: `attach arms the gate of a running service on this host and serves an IDE over
DAP. A request of an allowed client that reaches a breakpoint is frozen; all
others run on. When the time is over, or on SIGINT, SIGTERM, SIGHUP or
SIGQUIT, every frozen request goes on, the gate is disarmed and the command
ends. A small second process, the watchdog, kills the first should it hang:
the service then goes on by itself.

Once it is ready it prints one line on stdout, "listening on ADDRESS (DAP)", and
on stderr what to type next. Progress goes to stderr.

By default it listens on a Unix socket in a private directory, and only processes
of the same user may connect; 'remotedbg connect' brings an IDE there, also over
ssh. --listen 127.0.0.1:2345 takes an IDE on this host directly, of the same user
again. With any other address clients need TLS and a certificate: one is made for
this session, and the line to paste on the developer's machine is printed on
stdout. See docs/access.md.

Where many people share an address, --require-token asks for more: it prints a
token on stdout, and only requests that carry it, in the header Remotedbg-Token
or the cookie remotedbg_token, and come from the allowlist are stopped. The
handler does not see it.

With --whoami nothing is stopped and no IDE is served: for 60 seconds, or as long
as --for says, it prints which addresses the gate finds for the requests that come
in, and why, so that you know what to allow.

Exit codes: 0 ended as asked (time over, signal), 1 refused or failed,
2 wrong flags, 3 the process being debugged has exited.`,
		Example: `  remotedbg attach --name shop --allow 203.0.113.7
  remotedbg attach --pid 4711 --allow 10.1.0.0/16 --method POST --path /orders --for 5m
  remotedbg attach --name shop --allow 203.0.113.7 --listen 0.0.0.0:2345
  remotedbg attach --name shop --whoami`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.given = cmd.Flags().Changed
			f.listen.noteGiven(f.given)
			options, err := f.check()
			if err != nil {
				return err
			}
			if options.whoami {
				return whoami(cmd.Context(), options, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			return attach(cmd.Context(), options, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.pid, "pid", "", "process id `N` of the service")
	flags.StringVar(&f.name, "name", "", "`NAME` of the service: its comm or the base name of its executable")
	flags.StringArrayVar(&f.allow, "allow", nil, "address or `CIDR` of the clients whose requests may be frozen (repeatable, required)")
	flags.StringVar(&f.method, "method", "", "only requests with this `METHOD`")
	flags.StringVar(&f.path, "path", "", "only requests whose path begins with `PREFIX`")
	flags.StringArrayVar(&f.headers, "header", nil, "only requests with this header, `'Name: value'`")
	flags.StringVar(&f.duration, "for", defaultFor, "`DURATION`, at most "+formatDuration(maxFor))
	f.listen.register(flags)
	flags.BoolVar(&f.requireToken, "require-token", false, "only requests that carry the token which is printed")
	flags.BoolVar(&f.queueStops, "queue-stops", false, "show the IDE one stopped request at a time, the next one when that continues (nvim-dap)")
	flags.BoolVar(&f.whoami, "whoami", false, "only show which client addresses the gate finds, and why")
	f.rights.register(flags)
	f.redact.register(flags)
	f.budgets.register(flags)
	return cmd
}

// check turns the flags into options, or says everything that is wrong with them.
func (f attachFlags) check() (attachOptions, error) {
	var ms mistakes
	var o attachOptions
	o.pid, o.name = f.checkTarget(&ms)
	if o.whoami = f.whoami; f.whoami {
		o.duration = f.checkWhoami(&ms)
		if len(ms) > 0 {
			return attachOptions{}, ms
		}
		return o, nil
	}
	o.requireToken, o.queueStops = f.requireToken, f.queueStops
	o.allow = parseAllow(f.allow, &ms)
	o.method = checkMethod(f.method, &ms)
	o.path = f.path
	if o.path != "" && !strings.HasPrefix(o.path, "/") {
		ms.add("write --path /"+o.path, "--path %s: a request path begins with a slash", o.path)
	}
	o.headerName, o.headerValue = checkHeader(f.headers, &ms)
	o.duration = checkDuration(f.duration, &ms)
	o.listen = f.listen.check(&ms)
	o.budgets = f.budgets.check(&ms)
	o.rights = f.rights.check(&ms)
	o.redact = f.redact.check(&ms)
	if len(ms) > 0 {
		return attachOptions{}, ms
	}
	return o, nil
}

func (f attachFlags) checkTarget(ms *mistakes) (pid int, name string) {
	switch {
	case f.pid == "" && f.name == "":
		ms.add("--pid 4711, or --name shop for the only process of that name", "one of --pid and --name is required: which process to debug")
	case f.pid != "" && f.name != "":
		ms.add("give only one of them", "--pid and --name both name the process")
	case f.pid != "":
		n, err := strconv.ParseInt(f.pid, 10, 32)
		if err != nil || n <= 0 {
			ms.add("write the number that ps or systemctl status shows", "--pid %s: not a process id", f.pid)
		}
		return int(n), ""
	}
	return 0, f.name
}

// whoamiFor is how long --whoami looks unless --for says otherwise.
const whoamiFor = "60s"

// checkWhoami refuses flags that would do nothing beside --whoami.
func (f attachFlags) checkWhoami(ms *mistakes) time.Duration {
	duration := whoamiFor
	for _, flag := range []string{"allow", "method", "path", "header", "listen", "allow-user", "tls-cert", "tls-key", "client-ca", "client-name", "invite", "dangerously-listen-without-tls", "require-token", "queue-stops", "max-hold", "max-frozen", "stall-guard", "role", "audit"} {
		if f.given != nil && f.given(flag) {
			ms.add("leave --"+flag+" away, or --whoami", "--%s has no use beside --whoami, which stops nothing", flag)
		}
	}
	if f.given != nil && f.given("for") {
		duration = f.duration
	}
	return checkDuration(duration, ms)
}

func checkMethod(method string, ms *mistakes) string {
	switch {
	case !isToken(method) && method != "":
		ms.add("write one method, such as GET or POST", "--method %q: not a request method", method)
	case method != strings.ToUpper(method):
		// RFC 9110 section 9.1: methods are case-sensitive, so "get" would
		// never match and look like a debugger that does not work.
		ms.add("write --method "+strings.ToUpper(method), "--method %s: methods are upper case", method)
	}
	return method
}

func checkHeader(headers []string, ms *mistakes) (name, value string) {
	if len(headers) == 0 {
		return "", ""
	}
	if len(headers) > 1 {
		ms.add("keep the one that tells your requests apart", "--header is given %d times: a rule compares one header", len(headers))
	}
	for _, h := range headers {
		n, v, ok := strings.Cut(h, ":")
		n, v = strings.TrimSpace(n), strings.TrimSpace(v)
		name, value = textproto.CanonicalMIMEHeaderKey(n), v
		switch {
		case !ok || !isToken(n):
			ms.add("write --header 'X-Debug: alice'", "--header %q: not a header and its value", h)
		case v == "":
			ms.add("write the value too: --header '"+name+": alice'", "--header %q: the value is missing", h)
		}
	}
	return name, value
}

func checkDuration(text string, ms *mistakes) time.Duration {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		ms.add("write a number and its unit, such as 15m or 1h30m", "--for %s: not a duration", text)
	case d <= 0:
		ms.add("write how long you want to debug, such as 15m", "--for %s: the time must be longer than nothing", text)
	case d > maxFor:
		ms.add("write at most "+formatDuration(maxFor)+" and attach again when it is over", "--for %s: too long for a service to stay armed", text)
	}
	return d
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2, as methods
// and header names must be.
func isToken(s string) bool {
	for _, r := range s {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) {
			return false
		}
	}
	return s != ""
}

// formatDuration writes d without the trailing zero units of Duration.String:
// 15m, not 15m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
