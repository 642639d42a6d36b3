//go:build linux && amd64

package frameworks_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// builder is what all tests share: the agent is built once.
var builder *harness.Builder

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if builder, err = harness.NewBuilder(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer builder.Remove()
	return m.Run()
}
