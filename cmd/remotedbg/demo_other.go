//go:build !(linux && amd64)

package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
)

func demo(context.Context, demoOptions, io.Writer, io.Writer) error {
	return fmt.Errorf("demo debugs a process of its own and needs linux/amd64, this is %s/%s", runtime.GOOS, runtime.GOARCH)
}
