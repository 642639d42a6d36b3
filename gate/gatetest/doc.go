// Package gatetest has a stand-in for the agent, for tests of the gate, of its
// adapters, and of services that want to know that their handlers bear being
// trapped.
//
// It lives in the process under test and writes the board there as an agent
// does from outside, but it traces and stops nothing. It owns one goroutine,
// which [Arm] starts and the end of the test stops. It works where the gate
// works: on linux/amd64; elsewhere the package is empty.
package gatetest
