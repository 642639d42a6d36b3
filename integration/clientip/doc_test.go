// Package clientip_test compares the gate with what other libraries take for the
// client's address: one run puts every row of the gate's tables through each of
// them. It also compiles and runs the Go code of docs/client-address.md.
//
// It owns the list of differences and why there are (testdata/differences.txt),
// and must know nothing of the board and of agents. It starts no processes, and
// no goroutines but those of servers that end with their tests.
package clientip_test
