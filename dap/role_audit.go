//go:build linux && amd64

package dap

import (
	"encoding/json"
	"log/slog"

	"github.com/remotedbg/remotedbg/internal/audit"
)

// protocol is this front end's name in the audit.
const protocol = "dap"

// recordCommand writes down that req is about to be carried out; sync says that it
// must be on the disk by then.
func (c *conn) recordCommand(req request, sync bool) error {
	attrs := append(c.naming(req), slog.Bool("mutates", sync), written(req))
	if sync {
		return c.audit.RecordSync(audit.Command, attrs...)
	}
	return c.audit.Record(audit.Command, attrs...)
}

// recordRefused writes down that req is not carried out; needs is the role that it
// would take, or "never".
func (c *conn) recordRefused(req request, needs string, why error) {
	attrs := append(c.naming(req), slog.String("needs", needs), slog.Any("reason", why), written(req))
	_ = c.audit.Record(audit.Refused, attrs...) // nothing happens that went unrecorded
}

// never is the role for what nobody may do.
const never = "never"

// naming is a request and the service's request that it is about.
func (c *conn) naming(req request) []slog.Attr {
	attrs := []slog.Attr{slog.String("protocol", protocol), slog.String("command", req.Command)}
	if id := c.aboutRequest(req.Arguments); id != 0 {
		attrs = append(attrs, slog.Int("request", id))
	}
	return attrs
}

// aboutRequest is the service's request that the arguments lead to, 0 if to none.
func (c *conn) aboutRequest(raw json.RawMessage) int {
	var args struct {
		ThreadID           int `json:"threadId"`
		FrameID            int `json:"frameId"`
		VariablesReference int `json:"variablesReference"`
	}
	_ = json.Unmarshal(raw, &args) // what fits is filled in all the same
	if f := c.handles.frames[args.FrameID]; f != nil {
		return int(f.req)
	}
	if n := c.handles.nodes[args.VariablesReference]; n != nil && n.frame != nil {
		return int(n.req)
	}
	return args.ThreadID
}

// few are the requests of whose many arguments only some are of interest: clients
// send all of a launch.json.
var few = map[string][]string{
	"initialize": {"clientID", "clientName"},
	"launch":     {"mode", "program"},
	"attach":     {"mode", "stopOnEntry", "queueStops", "requests"},
}

// written are the arguments as they are written down: as the handler reads them, so
// that nothing that a client adds, or writes in another way, hides what is done. Of
// bytes that are written to memory the number is; they may be anything.
func written(req request) slog.Attr {
	raw := req.Arguments
	keys, only := few[req.Command]
	if req.read != nil && !only {
		raw, _ = json.Marshal(req.read) // it was made from JSON
	}
	var args map[string]json.RawMessage
	if json.Unmarshal(raw, &args) != nil {
		return slog.Attr{}
	}
	if only {
		all := args
		args = make(map[string]json.RawMessage)
		for _, key := range keys {
			if v, ok := all[key]; ok {
				args[key] = v
			}
		}
	}
	if req.Command == "writeMemory" {
		var data string
		_ = json.Unmarshal(args["data"], &data)
		delete(args, "data")
		args["base64"], _ = json.Marshal(len(data))
	}
	if len(args) == 0 {
		return slog.Attr{}
	}
	return slog.Any("arguments", args)
}
