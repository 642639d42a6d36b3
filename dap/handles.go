//go:build linux && amd64

package dap

import (
	"fmt"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/session"
)

// handles gives out the ids of frames and of variables with children. They are
// good until their request resumes; an id is never given out twice, so an old
// one is recognised as stale.
type handles struct {
	last   int
	frames map[int]*frame
	nodes  map[int]*node
	byReq  map[session.RequestID]*stopped
}

// stopped is what belongs to one stop of one request.
type stopped struct {
	frames    []int // id of the frame with that index, 0 if not given out
	nodes     []int
	http      *onStack               // nil: not looked for
	exception *session.ExceptionStop // nil: not at one
	seen      *taint.Extents         // what the client was shown of memory
}

// frame is one frame of a frozen request.
type frame struct {
	req       session.RequestID
	index     int // 0 is the innermost, inlined calls counted
	optimized bool
}

// node is a variable, or a scope, that a client can ask the children of.
type node struct {
	*frame
	v     *proc.Variable // nil: the scope of the frame
	expr  string         // an expression for v in the frame, "" if there is none
	start int            // the first element shown; not 0 for "the rest of" a long list
	plain bool           // below it everything is shown as Delve shows it

	extra   func(x *viewer, expr string) []dap.Variable // rows besides the children, may be nil
	instead bool                                        // the rows are instead of the children
}

func newHandles() *handles {
	h := &handles{}
	h.resetAll()
	return h
}

// reset forgets everything of the request's last stop.
func (h *handles) reset(req session.RequestID) {
	s := h.byReq[req]
	if s == nil {
		return
	}
	for _, id := range s.frames {
		delete(h.frames, id)
	}
	for _, id := range s.nodes {
		delete(h.nodes, id)
	}
	delete(h.byReq, req)
}

func (h *handles) resetAll() {
	h.frames = make(map[int]*frame)
	h.nodes = make(map[int]*node)
	h.byReq = make(map[session.RequestID]*stopped)
}

func (h *handles) stop(req session.RequestID) *stopped {
	s := h.byReq[req]
	if s == nil {
		s = &stopped{seen: new(taint.Extents)}
		h.byReq[req] = s
	}
	return s
}

// addFrame returns the id of f; the same frame of the same stop has the same
// id however often the stack is asked for.
func (h *handles) addFrame(f frame) int {
	s := h.stop(f.req)
	for len(s.frames) <= f.index {
		s.frames = append(s.frames, 0)
	}
	if s.frames[f.index] == 0 {
		h.last++
		s.frames[f.index] = h.last
		h.frames[h.last] = &f
	}
	return s.frames[f.index]
}

func (h *handles) addNode(n *node) int {
	h.last++
	s := h.stop(n.req)
	s.nodes = append(s.nodes, h.last)
	h.nodes[h.last] = n
	return h.last
}

func (h *handles) frame(id int) (*frame, error) {
	if f := h.frames[id]; f != nil {
		return f, nil
	}
	return nil, h.missing("frame", id)
}

func (h *handles) node(id int) (*node, error) {
	if n := h.nodes[id]; n != nil {
		return n, nil
	}
	return nil, h.missing("variablesReference", id)
}

func (h *handles) missing(what string, id int) error {
	cause := fmt.Sprintf("%s %d", what, id)
	if id > 0 && id <= h.last {
		return kindStale.becauseOf(cause)
	}
	return kindReference.becauseOf(cause)
}
