// Package daptest is a small Debug Adapter Protocol client for tests: ours, and
// those of anyone who wants to see an allowlisted request of his own service
// stop. It knows the protocol and nothing of this project's debugger, returns
// errors instead of using package testing, and builds everywhere.
//
// A Client has one goroutine, which reads; it is started by New and Dial and
// ends with the connection ([Client.Close]). All methods may be called from
// any goroutine. Every method that waits gives up after [Client.Timeout].
//
// Events are kept until somebody takes them, in the order they came, so there
// is no race between the request that causes an event and the wait for it:
//
//	c, err := daptest.Dial("127.0.0.1:2345")
//	err = c.Session("/src/shop/orders.go", 42)
//	// send the request to the service here
//	stop, err := c.WaitStopped(daptest.AnyThread)
//	stack, err := c.StackTrace(stop.ThreadId, 0, 20)
//	err = c.Continue(stop.ThreadId)
package daptest
