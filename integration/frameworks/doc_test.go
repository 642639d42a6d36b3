// Package frameworks_test tests each adapter in a real server of its framework:
// the remotedbg command attached to it, a request frozen, stepped and finished.
package frameworks_test
