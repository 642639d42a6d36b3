package audit

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"

	"github.com/remotedbg/remotedbg/internal/access"
)

// The events. docs/audit.md has a line of each, which a test compares.
const (
	AgentStarted = "agent.started"
	AgentArmed   = "agent.armed"
	AgentEnded   = "agent.ended"

	ConnectionAccepted = "connection.accepted"
	ConnectionRefused  = "connection.refused"
	ConnectionClosed   = "connection.closed"
	Attack             = "attack"

	SessionOpened = "session.opened"
	SessionClosed = "session.closed"

	RequestTaken    = "request.taken"
	RequestStopped  = "request.stopped"
	RequestThawed   = "request.thawed"
	RequestReleased = "request.released"

	Command = "command"
	Refused = "refused" // a command, for a reason of its own or for its role

	Lost = "audit.lost"
)

// Kind is what there is to know of an event.
type Kind struct {
	Event  string
	Means  string
	Fields []string // that may be on its line, besides time, event, seq and agent
}

var who = []string{"who", "proof", "uid", "from", "role"}

func with(base []string, more ...string) []string { return append(base[:len(base):len(base)], more...) }

// Events is every event, in the order of docs/audit.md. It must not be changed.
var Events = []Kind{
	{AgentStarted, "the agent has begun; nothing is armed yet", []string{"pid", "name", "version", "role", "listen", "for", "uid"}},
	{AgentArmed, "the gate offers matching requests from now on", []string{"pid", "rules", "until"}},
	{AgentEnded, "the agent has let go of everything and disarmed the gate", []string{"pid", "reason"}},

	{ConnectionAccepted, "somebody has connected, proved who it is, and speaks a protocol of ours", with(who, "listener", "fingerprint")},
	{ConnectionClosed, "that connection has ended", with(who, "listener", "fingerprint", "reason", "open_ms")},
	{ConnectionRefused, "somebody was turned away before it could say anything to the debugger", with(who, "listener", "fingerprint", "reason")},
	{Attack, "first bytes that no debugger's client sends, or an invitation that was used before", with(who, "listener", "fingerprint", "reason", "first")},

	{SessionOpened, "an IDE has attached", with(who, "session")},
	{SessionClosed, "it has detached, and all its requests go on", with(who, "session", "reason")},

	{RequestTaken, "a request that matched a rule is being debugged for this session", with(who, "session", "request", "rule", "client", "method", "path", "route", "root", "function")},
	{RequestStopped, "it is frozen", with(who, "session", "request", "file", "line", "function", "reason", "breakpoints")},
	{RequestThawed, "it goes on, as it was told to or because nobody may hold it any longer", with(who, "session", "request", "reason", "frozen_ms")},
	{RequestReleased, "it is debugged no longer; all its time frozen", with(who, "session", "request", "reason", "frozen_ms", "stops")},

	{Command, "somebody asks for something; written before it is done, and synced if it changes the service", with(who, "session", "protocol", "request", "command", "mutates", "arguments")},
	{Refused, "a command was refused for what it is or for who asks", with(who, "session", "protocol", "request", "command", "needs", "arguments", "reason")},

	{Lost, "lines before this one could not be written", []string{"lines", "since", "reason"}},
}

// Who is an identity as every line has it.
func Who(i access.Identity) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("who", i.Name), slog.String("proof", string(i.Proof)),
		slog.String("from", i.From), slog.String("role", i.Role.String()),
	}
	if i.Proof == access.ProofUID {
		attrs = append(attrs, slog.Int("uid", i.UID))
	}
	return attrs
}

// always are the fields of every line; cut_from is that of one that was too long.
var always = []string{"time", "event", "seq", "agent", "cut_from"}

// Check says what is wrong with a line of the audit, by Events: tests hold what an
// agent writes against what is documented.
func Check(line []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return fmt.Errorf("remotedbg: audit line %q: it is no JSON: %w", line, err)
	}
	var event string
	_ = json.Unmarshal(fields["event"], &event) // none: no such event
	i := slices.IndexFunc(Events, func(k Kind) bool { return k.Event == event })
	if i < 0 {
		return fmt.Errorf("remotedbg: audit line %q: no such event", line)
	}
	if len(fields["time"]) == 0 {
		return fmt.Errorf("remotedbg: audit line %q: no time", line)
	}
	for name := range fields {
		if !slices.Contains(always, name) && !slices.Contains(Events[i].Fields, name) {
			return fmt.Errorf("remotedbg: audit line %q: %s is not documented", line, name)
		}
	}
	return nil
}
