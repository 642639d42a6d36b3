//go:build linux && amd64

package dap

import (
	"context"

	"github.com/google/go-dap"
)

// threads lists the requests in flight. None is a list of none: an invented
// thread, as debuggers of whole processes send, could be paused and stepped
// and is not there.
func (c *conn) threads(context.Context, struct{}) (dap.ThreadsResponseBody, error) {
	list := []dap.Thread{} // null is not a list
	for _, r := range c.sess.Requests() {
		list = append(list, dap.Thread{Id: int(r.ID), Name: r.Name()})
	}
	return dap.ThreadsResponseBody{Threads: list}, nil
}
