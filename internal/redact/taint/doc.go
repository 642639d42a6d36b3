// Package taint keeps a service's secrets out of what a debugger reads.
//
// It owns where the rules of package redact meet Delve: a [Memory] that stands
// between Delve and the service and hands out no byte of a secret, the search
// for secrets in what a stopped request can reach, the struct tags that the
// runtime's type data has, and which memory a client may read because it was
// shown what lies there. It must not know sessions, DAP or JSON-RPC.
//
// There are three layers, since each has a hole that another closes. By name: an
// expression with the name of a secret in it is not evaluated, and a value with
// such a name is not shown. By extent: a pointer is made of a number only where
// the client was shown a value. By content: what was found under a secret's name,
// or has the pattern of one, is replaced in all memory that Delve reads, so that
// it does not matter which way leads to a copy, nor whether it is shown, compared
// or converted.
//
// There are no goroutines. Whatever reads the service is called under the lock
// that serialises the use of Delve; a [Guard]'s other methods may be called from
// any goroutine.
package taint
