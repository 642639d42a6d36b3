//go:build linux && amd64 && race

package session

// What is found in a search's time is less where all of it is slower.
func init() {
	const slower = 20
	searchAtStop *= slower
	searchLater *= slower
	searchPassing *= slower
}
