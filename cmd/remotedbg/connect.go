package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/remotedbg/remotedbg/internal/forward"
	"github.com/remotedbg/remotedbg/internal/peer"
)

// connectFlags are the flags as they were typed.
type connectFlags struct {
	listen string
	stdio  bool
	given  func(flag string) bool
	pki    forward.PKI
	ssh    forward.SSHOptions
}

func newConnectCommand() *cobra.Command {
	var f connectFlags
	cmd := &cobra.Command{
		Use:   "connect TARGET",
		Short: "Bring the IDE on this machine to an agent",
		Long: `connect opens a loopback port for an IDE and passes it on to an agent. TARGET is
one of

  HOST:PORT#...             the line that remotedbg attach printed, in quotes
  HOST:PORT                 with certificates of your own: --tls-cert, --tls-key
  ssh://[USER@]HOST[:PORT]  the agent on a host that you can log in to
  ssh://[USER@]HOST/PATH    the same, for the agent with this socket
  unix:///PATH              an agent on this machine
  -                         reads one of them from the standard input

Once it is ready it prints one line on stdout, "listening on ADDRESS (DAP)". Point
your editor at that address, as if the agent was there; GoLand and dlv connect may
use it too. One IDE at a time is let in, and only processes of your user. It runs
until ctrl-C, and an IDE can come again.

With --stdio it opens no port and speaks DAP on its standard streams, for editors
that start an adapter themselves.

Over ssh the keys of ssh-agent and the files in ~/.ssh are used, and the host must
be in known_hosts. Of ~/.ssh/config HostName, User, Port, IdentityFile,
IdentityAgent, UserKnownHostsFile and HostKeyAlias are read.

Exit codes: 0 ended as asked, 1 refused or failed, 2 wrong flags.`,
		Example: `  remotedbg connect 'shop1.example:7000#AV9...'
  remotedbg connect ssh://alice@shop1.example
  remotedbg connect --stdio ssh://shop1.example/run/user/1000/remotedbg/4711.sock`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.given = cmd.Flags().Changed
			return f.run(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.listen, "listen", loopbackListen, "loopback `ADDRESS` for the IDE; port 0 takes a free one")
	flags.BoolVar(&f.stdio, "stdio", false, "speak DAP on the standard streams instead")
	flags.StringVar(&f.pki.Cert, "tls-cert", "", "certificate of the client, a PEM `FILE`")
	flags.StringVar(&f.pki.Key, "tls-key", "", "its private key, a PEM `FILE`")
	flags.StringVar(&f.pki.CA, "ca", "", "PEM `FILE` with the authorities that sign the agent's certificate (default: the system's)")
	flags.StringVar(&f.pki.ServerName, "server-name", "", "`NAME` in the agent's certificate (default: the host of TARGET)")
	flags.StringVar(&f.ssh.Identity, "identity", "", "`FILE` of the private key for ssh (default: those in ~/.ssh)")
	flags.StringVar(&f.ssh.KnownHosts, "known-hosts", "", "`FILE` of ssh host keys (default: ~/.ssh/known_hosts)")
	return cmd
}

// run connects until a signal comes or, with --stdio, the IDE goes.
func (f connectFlags) run(ctx context.Context, target string, stdin io.Reader, stdout, stderr io.Writer) error {
	var ms mistakes
	listen := checkLoopback(f.listen, &ms)
	if f.stdio && f.given("listen") {
		ms.add("leave one of them away", "--stdio opens no port, --listen does")
	}
	if f.stdio && target == "-" {
		ms.add("give the target itself", "--stdio needs the standard input for the IDE")
	}
	if len(ms) > 0 {
		return ms
	}
	if target == "-" {
		line, err := bufio.NewReader(io.LimitReader(stdin, 4<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read the target: %w", err)
		}
		target = strings.TrimSpace(line)
	}
	say := lines(stderr)
	route, err := forward.Parse(target, forward.Options{PKI: f.pki, SSH: f.ssh, Log: say})
	if err != nil {
		return asMistake(err)
	}
	defer route.Close()
	ctx, stop := stoppable(ctx)
	defer stop()
	if f.stdio {
		return forward.Stdio(ctx, stdin, stdout, route, say)
	}
	return listenFor(ctx, listen, route, stdout, say)
}

// listenFor serves IDEs on a port until ctx ends.
func listenFor(ctx context.Context, listen netip.AddrPort, route forward.Route, stdout io.Writer, say func(string)) error {
	// Before an invitation is used up for nothing.
	ln, err := net.Listen("tcp", listen.String())
	if err != nil {
		return failure{err: fmt.Errorf("listen for the IDE: %w", err), hint: "--listen " + netip.AddrPortFrom(listen.Addr(), 0).String() + " takes a free port\nis another remotedbg connect, or an ssh -L, still running?"}
	}
	defer ln.Close()
	reached, err := route.Prepare(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	say(strings.TrimSuffix("the agent is "+route.String()+": "+reached, ": "))
	if !peer.KnowsTCP {
		say("this system does not tell whose process uses the port: every user of this machine can use it while this command runs")
	}
	if _, err := fmt.Fprintf(stdout, "listening on %s (DAP)\n", ln.Addr()); err != nil {
		return fmt.Errorf("tell the address on stdout: %w", err)
	}
	return forward.Serve(ctx, ln, route, say)
}

// checkLoopback reads the address of a port that is for this machine alone.
func checkLoopback(text string, ms *mistakes) netip.AddrPort {
	addr, err := netip.ParseAddrPort(text)
	switch {
	case err != nil:
		ms.add("write an IP address and a port, such as "+loopbackListen+" or [::1]:2345", "--listen %s: not an address and a port", text)
	case !addr.Addr().Unmap().IsLoopback() || addr.Addr().Zone() != "":
		// Whoever reaches the port debugs with our certificate or login.
		ms.add("write --listen "+netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port()).String(), "--listen %s: only a loopback address may be listened on", text)
	}
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// asMistake makes an error about the target one of the command line.
func asMistake(err error) error {
	var h hinter
	if errors.As(err, &h) {
		return mistake{err.Error(), h.Hint()}
	}
	return mistake{err.Error(), "'remotedbg connect --help' shows what a target looks like"}
}

// stoppable ends a context by the signals that end a command, with the cause that
// the IDE is told.
func stoppable(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel(forward.ErrStopped)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(forward.ErrStopped)
	}
}

// lines writes lines for people, from any goroutine.
func lines(w io.Writer) func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "remotedbg: %s\n", line) // nobody may be there to read it
	}
}
