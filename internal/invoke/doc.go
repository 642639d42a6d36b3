// Package invoke evaluates expressions that call functions of the service: it
// finds the functions, lays out their arguments as Go's internal ABI wants them,
// and says where their results will be.
//
// It knows Delve's symbols and types and Go's ABI. It must not know ptrace,
// sessions or clients: what is to be called it hands out as a live.Call, and it
// is told how that ended. Delve's own call injection cannot be used: it refuses
// optimised functions, whose arguments' places the debug information does not
// tell; here they are worked out from the types, and checked against what the
// runtime knows of the function.
//
// It has no goroutines. Whoever calls it holds the lock that guards Delve.
package invoke
