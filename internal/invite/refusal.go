package invite

// Reason is why an invitation was not accepted. It is an error.
type Reason string

// Reasons. The agent sends them; errors.Is finds them in what Redeem returns.
const (
	// Used: somebody has used this invitation. If it was not you, somebody else
	// has read it.
	Used Reason = "used"
	// Expired: its time is over, or the session's is.
	Expired Reason = "expired"
	// OtherProcess: it was made for another process than this agent's.
	OtherProcess Reason = "other-process"
	// Unknown: this agent did not make it, or it was changed on its way.
	Unknown Reason = "unknown"
	// Malformed: what was sent is no request.
	Malformed Reason = "malformed"
	// OtherAgent: the agent's certificate is not the one of the link. Found by
	// the client, which tells nothing to an agent like that.
	OtherAgent Reason = "other-agent"
)

var reasons = map[Reason]struct{ text, hint string }{
	Used: {
		"it has been used already, and each is good for one use",
		"if that was not you, somebody else has read it and may be debugging: end the agent (ctrl-C) and attach again\nfor more people than one, attach with --invite 3",
	},
	Expired:      {"it has expired", "attach again; --for says how long a session and its invitations last"},
	OtherProcess: {"it was made for another process", "use the line that the agent of this process has printed"},
	Unknown:      {"the agent did not make it", "copy the whole line again that the agent has printed"},
	Malformed:    {"the agent could not read the request", "use the same version of remotedbg on both sides"},
	OtherAgent: {
		"the one that answers is not the agent that made it: its certificate is another",
		"the agent may have ended and another may listen at this address: use the line that it printed\nif there is none, somebody stands between you and the agent: do not go on",
	},
}

// Error says what is wrong, for people.
func (r Reason) Error() string {
	if about, ok := reasons[r]; ok {
		return "remotedbg: invitation: " + about.text
	}
	return "remotedbg: invitation: refused by the agent"
}

// Hint says what to do, one thing a line.
func (r Reason) Hint() string { return reasons[r].hint }
