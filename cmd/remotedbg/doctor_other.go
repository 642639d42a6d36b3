//go:build !(linux && amd64)

package main

import (
	"fmt"
	"io"
	"runtime"
)

func diagnose(attachOptions, bool, io.Writer) error {
	return fmt.Errorf("doctor runs on the host of the service and needs linux/amd64, this is %s/%s", runtime.GOOS, runtime.GOARCH)
}
